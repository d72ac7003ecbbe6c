"""Alerts in Telegram: failing and stale pipelines, dead letters, a backlog and servers that are away, told once."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from aiogram import Bot, Dispatcher
from aiogram.exceptions import (
    AiogramError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramRetryAfter,
)
from aiogram.types import LinkPreviewOptions
from redis.asyncio import Redis

from tracequeue_worker.alerts.lookout import Lookout
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.alerts.shared import SharedMemory
from tracequeue_worker.alerts.watchman import Watchman, utc_now
from tracequeue_worker.redis_client import command_client
from tracequeue_worker.settings import WorkerSettings

SEND_SECONDS: Final = 10
REFUSED: Final = timedelta(hours=1)
"""How long a chat that does not want the bot, or does not exist, is left alone."""
REFUSALS: Final = (TelegramForbiddenError, TelegramBadRequest, TelegramNotFound)

log = logging.getLogger(__name__)


def install_alerts(
    dispatcher: Dispatcher,
    chats: Sequence[int],
    rules: AlertRules | None = None,
    *,
    interval: timedelta = timedelta(minutes=1),
    settings: WorkerSettings | None = None,
    bot: Bot | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> "Alerts":
    """Look every `interval`, from the dispatcher's startup to its shutdown, and tell these chats what is wrong.

    The settings come from the environment unless they are given; the right to read the store and the streams is enough,
    with that to the keys `{<prefix>:0}:alerts:*` of Redis. Without a `bot`, the one that the dispatcher starts with
    tells. Raises `SettingsError`, and `ValueError` for an interval that is none.
    """
    if interval <= timedelta(0):
        raise ValueError(f"interval must be longer than nothing, not {interval}")
    alerts = Alerts(chats, rules or AlertRules(), interval, settings or WorkerSettings.load(), clock)

    async def start(**started_with: object) -> None:
        teller = bot or started_with.get("bot")
        if not isinstance(teller, Bot):
            raise TypeError("alerts have no bot to speak through: give install_alerts() one as bot=")
        await alerts.start(teller)

    dispatcher.startup.register(start)
    dispatcher.shutdown.register(alerts.stop)
    return alerts


class Alerts:
    """The watch as a task beside the bot."""

    def __init__(
        self,
        chats: Sequence[int],
        rules: AlertRules,
        interval: timedelta,
        settings: WorkerSettings,
        clock: Callable[[], datetime],
    ) -> None:
        self._chats = list(dict.fromkeys(chats))
        self._rules = rules
        self._interval = interval
        self._settings = settings
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def start(self, bot: Bot) -> None:
        """Begin to look; nothing is awaited from a server. Without chats there is nobody to tell."""
        if not self._chats:
            log.warning("alerts are off: no admin chats were given")
        elif self._task is None:
            client = command_client(self._settings.redis_url.get_secret_value())
            self._task = asyncio.create_task(self._run(bot, client), name="tracequeue alerts")

    async def stop(self) -> None:
        """End at once, or after the message that is on its way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self, bot: Bot, client: Redis) -> None:
        lookout = Lookout(client, self._settings, self._rules)
        watchman = Watchman(
            lookout,
            SharedMemory(client, self._settings.prefix),
            self._chats,
            Teller(bot, self._clock).tell,
            rules=self._rules,
            interval=self._interval,
            clock=self._clock,
        )
        try:
            await watchman.run()
        finally:
            await lookout.close()
            await client.aclose()


class Teller:
    """Sends to chats. What does not arrive is the caller's to send again; who refuses is left alone for long."""

    def __init__(self, bot: Bot, clock: Callable[[], datetime] = utc_now) -> None:
        self._bot = bot
        self._clock = clock
        self._not_before: dict[int, datetime] = {}
        self._moved: dict[int, int] = {}
        self._troubled: set[int] = set()

    async def tell(self, chat: int, html: str) -> bool:
        """Send HTML; whether Telegram took it. Never raises because of Telegram."""
        if chat in self._not_before and self._clock() < self._not_before[chat]:
            return False
        try:
            await self._send(self._moved.get(chat, chat), html)
        except TelegramMigrateToChat as error:
            self._moved[chat] = error.migrate_to_chat_id
            log.warning("admin chat %d is now %d: change the setting", chat, error.migrate_to_chat_id)
            return await self.tell(chat, html)
        except (AiogramError, OSError) as error:
            self._failed(chat, error)
            return False
        self._troubled.discard(chat)
        return True

    async def _send(self, chat: int, html: str) -> None:
        await self._bot.send_message(
            chat,
            html,
            parse_mode="HTML",
            link_preview_options=LinkPreviewOptions(is_disabled=True),
            request_timeout=SEND_SECONDS,
        )

    def _failed(self, chat: int, error: Exception) -> None:
        """Note when to try again; only the first failure in a row is logged."""
        pause = timedelta(0)
        if isinstance(error, TelegramRetryAfter):
            pause = timedelta(seconds=error.retry_after)
        elif isinstance(error, REFUSALS):
            pause = REFUSED
        self._not_before[chat] = self._clock() + pause
        if chat not in self._troubled:
            self._troubled.add(chat)
            reason = str(error).replace(self._bot.token, "…")
            log.warning("alerts do not reach admin chat %d, and are kept for it: %s", chat, reason)
