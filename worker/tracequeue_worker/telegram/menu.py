"""The admin commands in the command menus of the admins, below the bot's own, and in nobody else's."""

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final

from aiogram import Bot
from aiogram.exceptions import AiogramError
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    Message,
    TelegramObject,
)

from tracequeue_worker.printable import one_line

COMMANDS: Final = {
    "traces": "the newest traces: [pipeline] [failed] [2h] [id=42]",
    "trace": "one trace as a tree: ID [io]",
    "why": "as a reply: the trace that made that message",
    "failed": "failures by their errors: [pipeline] [2h]",
    "slow": "the slowest traces, and percentiles: [pipeline] [2h]",
    "cost": "tokens and money by pipeline and person: [7d]",
    "lag": "what waits to be stored",
    "dlq": "what could not be stored, and why",
    "admin": "these commands",
}
MOST_COMMANDS = 100
"""Telegram takes no more in one menu."""

log = logging.getLogger(__name__)


class Menus:
    """Puts the commands into the admins' menus: when the bot starts, or with the first command of an admin who had not
    opened the chat by then."""

    def __init__(self, admins: Collection[int]) -> None:
        self._admins = sorted(admins)
        self._lacking: set[tuple[int, int]] = set()
        """Bot and admin."""

    async def publish(self, bot: Bot | None = None, bots: Sequence[Bot] = ()) -> None:
        """Never fails: the bot starts without a menu all the same."""
        for one in bots or filter(None, [bot]):
            self._lacking |= {(one.id, admin) for admin in self._admins}
            for admin in self._admins:
                await self._publish_to(one, admin)

    async def make_up_for(
        self, handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]], event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:  # fmt: skip
        """Runs around each command."""
        result = await handler(event, data)
        bot = data["bot"]
        if isinstance(event, Message) and event.from_user and (bot.id, event.from_user.id) in self._lacking:
            await self._publish_to(bot, event.from_user.id)
        return result

    async def _publish_to(self, bot: Bot, admin: int) -> None:
        try:
            own = await _own_commands(bot)
            ours = [BotCommand(command=name, description=text) for name, text in COMMANDS.items()]
            kept = [command for command in own if command.command not in COMMANDS][: MOST_COMMANDS - len(ours)]
            await bot.set_my_commands([*kept, *ours], scope=BotCommandScopeChat(chat_id=admin))
        except (AiogramError, OSError) as error:
            log.warning("admin %s has no menu of the admin commands yet, they work without: %s", admin, one_line(error))
        else:
            self._lacking.discard((bot.id, admin))


async def _own_commands(bot: Bot) -> list[BotCommand]:
    """What everybody's menu shows in a private chat: a menu of one chat would take its place."""
    return await bot.get_my_commands(scope=BotCommandScopeAllPrivateChats()) or await bot.get_my_commands()
