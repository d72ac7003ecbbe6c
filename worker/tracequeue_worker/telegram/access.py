"""Who may ask, and where the answer goes: admins, and the private chat with the bot, where nobody else reads it."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError
from aiogram.filters import Filter
from aiogram.types import CallbackQuery, Message, TelegramObject


class FromAdmin(Filter):
    """Lets what an admin wrote or pressed pass; for anybody else it is as if there were no such handler.

    `privately` says where: in the private chat, or in all others.
    """

    def __init__(self, admins: Collection[int], *, privately: bool = True) -> None:
        self._admins = frozenset(admins)
        self._privately = privately

    async def __call__(self, event: Message | CallbackQuery) -> bool:
        message = event.message if isinstance(event, CallbackQuery) else event
        if message is None or event.from_user is None or event.from_user.id not in self._admins:
            return False
        return (message.chat.id == event.from_user.id) is self._privately


def private_chat(event: Message | CallbackQuery) -> int:
    """The chat of the bot with who wrote or pressed this: Telegram gives it the number of the person."""
    if event.from_user is None:
        raise TypeError("nobody wrote this: it should not have passed FromAdmin")
    return event.from_user.id


async def ask_for_private_chat(
    handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]], event: TelegramObject, data: dict[str, Any]
) -> Any:
    """Runs around commands in groups: an admin may have no private chat with the bot, or have blocked it."""
    try:
        return await handler(event, data)
    except (TelegramForbiddenError, TelegramBadRequest):
        if not isinstance(event, Message):
            raise
        return await event.reply("I answer that in private: open a chat with me first.")
