"""Alerts in Telegram: failing and stale pipelines, dead letters, a backlog and servers that are away, told once."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from aiogram import Bot, Dispatcher
from redis.asyncio import Redis

from tracequeue_worker.alerts.lookout import Lookout
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.alerts.shared import SharedMemory
from tracequeue_worker.alerts.watchman import Watchman, utc_now
from tracequeue_worker.redis_client import command_client
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.telegram.teller import Teller

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
