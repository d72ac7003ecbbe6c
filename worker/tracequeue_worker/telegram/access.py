"""Who may ask, and where: the admins, in the private chat with the bot, where nobody else reads the answer."""

from collections.abc import Collection

from aiogram.enums import ChatType
from aiogram.filters import Filter
from aiogram.types import CallbackQuery, Message


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
        return (message.chat.type == ChatType.PRIVATE) is self._privately


def private_chat(event: Message | CallbackQuery) -> int:
    """The chat of the bot with who wrote or pressed this: Telegram gives it the number of the person."""
    if event.from_user is None:
        raise TypeError("nobody wrote this: it should not have passed FromAdmin")
    return event.from_user.id
