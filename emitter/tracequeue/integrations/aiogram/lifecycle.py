"""The collector and what is being handled, from the dispatcher's startup to its shutdown."""

from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from aiogram import Dispatcher, Router

from tracequeue.collector import TraceCollector, get_collector, init_collector
from tracequeue.integrations.aiogram.updates import Updates


class Lifecycle:
    """Starts and stops the collector with a dispatcher, which may start again after it was stopped."""

    _dispatchers: ClassVar["WeakKeyDictionary[TraceCollector, int]"] = WeakKeyDictionary()
    """How many are running with a collector."""

    def __init__(
        self, dispatcher: Dispatcher, collector: TraceCollector, updates: Updates, grace_seconds: float
    ) -> None:
        self._dispatcher = dispatcher
        self._collector = collector
        self._updates = updates
        self._grace_seconds = grace_seconds
        self._last = Router(name="tracequeue")

    def follow(self) -> None:
        """aiogram gives a function whatever it has under the names of its parameters: these have none."""
        self._dispatcher.startup.register(self.start)
        # The first of all: what handlers use, the storage of states above all, is closed by others.
        self._dispatcher.shutdown.register(self.finish)
        self._dispatcher.shutdown.handlers.insert(0, self._dispatcher.shutdown.handlers.pop())
        self._dispatcher.include_router(self._last)
        self._last.shutdown.register(self.stop)

    async def start(self, **started_with: Any) -> None:
        """Routers are stopped in their order: ours goes to the end, behind those that came after it."""
        routers = self._dispatcher.sub_routers
        routers.append(routers.pop(routers.index(self._last)))
        if self._collector.stopped:
            newer = get_collector()
            if newer is None or newer.stopped:
                newer = init_collector(self._collector.settings)
            self._collector = newer
        self._dispatchers[self._collector] = self._dispatchers.get(self._collector, 0) + 1
        await self._collector.start()
        self._updates.watch_bots(started_with.get("bots") or filter(None, [started_with.get("bot")]))

    async def finish(self) -> None:
        await self._updates.finish(self._grace_seconds)

    async def stop(self) -> None:
        self._dispatchers[self._collector] -= 1
        if not self._dispatchers[self._collector]:
            await self._collector.stop()
