"""A look at the streams every few seconds: what waits there, and what state Redis is in.

Probes and scrapes are answered from the last look, so that however many come, Redis is not asked more often.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from tracequeue_worker.backlog import Backlog, read_backlog
from tracequeue_worker.errors import Fatal, Transient
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

WATCH_SECONDS: Final = 2.0
UNATTENDED_AFTER: Final = 3
"""In claim times: by then any living worker would have taken a dead one's frame over."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the Redis server, in bytes; without a limit `limit` is 0."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look found. `unattended`: a frame is pending that nobody works on. `memory` is None where this Redis
    user may not ask."""

    backlogs: list[Backlog]
    unattended: bool
    memory: Memory | None
    at: float

    @property
    def waiting(self) -> bool:
        """Whether there is something that this worker should do."""
        return self.unattended or any(one.unread for one in self.backlogs)


class Watch:
    """Looks until cancelled. `idle_at` is when there was last nothing to do, as far as could be seen.

    `in_hand` says how many frames this worker has in its hands, without those that are held on purpose.
    """

    def __init__(self, client: Redis, membership: Membership, in_hand: Callable[[], int], *, min_idle_ms: int) -> None:
        self.sight: Sight | None = None
        self.trouble: Transient | Fatal | None = None
        self.idle_at = time.monotonic()
        self._client = client
        self._membership = membership
        self._in_hand = in_hand
        self._silence_ms = min_idle_ms * UNATTENDED_AFTER

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(WATCH_SECONDS)

    async def look(self) -> None:
        """Look once. Where Redis cannot say, what was seen last still counts."""
        try:
            self.sight = await self._sight()
            self.trouble = None
        except (Transient, Fatal) as error:
            self.trouble = error
        if not self.busy:
            self.idle_at = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether this worker has something to do: in its hands, or waiting in the streams."""
        return self._in_hand() > 0 or (self.sight is not None and self.sight.waiting)

    async def _sight(self) -> Sight:
        backlogs = await read_backlog(self._client, self._membership)
        async with talking_to(self._client):
            return Sight(backlogs, await self._unattended(), await self._memory(), time.monotonic())

    async def _unattended(self) -> bool:
        for stream in self._membership.streams:
            try:
                if await self._client.xpending_range(
                    stream, self._membership.group, "-", "+", 1, idle=self._silence_ms
                ):
                    return True
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
        return False

    async def _memory(self) -> Memory | None:
        try:
            facts = await self._client.info("memory")
        except NoPermissionError:
            return None
        return Memory(int(facts.get("used_memory", 0)), int(facts.get("maxmemory", 0)))
