"""Deletes what every group has settled: what is old enough, and all of it while Redis runs out of memory."""

import logging
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from tracequeue_worker.lua import load
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.report import WorkerReport
from tracequeue_worker.settings import ARCHIVE_GROUP
from tracequeue_worker.streams import Membership

AT_ONCE: Final = 10_000
"""Entries per call: a few milliseconds of the server's time."""
CALLS: Final = 50
"""Per stream and round, so that a long history is trimmed within a few rounds."""
PAGE: Final = 50
"""Entries of which the bodies pass through memory at once."""
PRESSURE: Final = 0.75
"""Share of `maxmemory` above which settled history goes, whatever its age."""
PATIENCE_SECONDS: Final = 600
"""How far another group may lag behind what is kept anyway, before it is called forgotten."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holder:
    """Another group that has not settled what ours has, for longer than it is kept: nothing is trimmed beyond."""

    stream: str
    group: str
    seconds: float
    """Age of the oldest entry that is kept for it."""

    def __str__(self) -> str:
        return (
            f"group {self.group!r} of {self.stream} has not settled what is {self.seconds / 3600:.1f} h old, "
            f"so nothing younger is trimmed: {self.cure}"
        )

    @property
    def cure(self) -> str:
        destroy = f"run `XGROUP DESTROY {self.stream} {self.group}`"
        if self.group == ARCHIVE_GROUP:
            return (
                f"let workers run with TRACEQUEUE_ARCHIVE_DIR, on a disk with room; or, to archive no more, {destroy}"
            )
        return f"let it read, or {destroy}"


class Trimmer:
    """Counts in the worker's report what it trimmed. `holders` are the groups that block it, as of the last round."""

    def __init__(self, client: Redis, membership: Membership, report: WorkerReport, *, keep_seconds: int) -> None:
        self.holders: list[Holder] = []
        self._client = client
        self._membership = membership
        self._report = report
        self._keep_seconds = keep_seconds
        self._script = client.register_script(load("stream_facts", "trim"))
        self._sweep_script = client.register_script(load("stream_facts", "sweep"))
        self._swept_to: dict[bytes, bytes] = {}
        self._said: set[tuple[str, str]] = set()

    async def trim(self) -> None:
        """One round over all streams. Raises `Transient` or `Fatal`."""
        for stream in self._membership.streams:
            for _ in range(CALLS):
                if not await self._trim(stream, self._keep_seconds):
                    break
            await self._sweep(stream, self._keep_seconds)
        await self._relieve()
        self.holders = await read_holders(self._client, self._membership, self._keep_seconds)
        self._say(self.holders)

    async def _relieve(self) -> None:
        """Give settled history back, oldest first, until memory is not short any more or nothing is left."""
        trimmed = 0
        while await self._memory_is_short():
            streams = self._membership.streams
            step = sum([await self._trim(stream, 0) for stream in streams])
            step = step or sum([await self._sweep(stream, 0) for stream in streams])
            if not step:
                break
            trimmed += step
        if trimmed:
            log.warning(
                "Redis uses over %d %% of maxmemory: %d settled frames went before their time (KEEP_STREAM_SECONDS)",
                PRESSURE * 100, trimmed,
            )  # fmt: skip

    async def _trim(self, stream: bytes, keep_seconds: int) -> int:
        async with talking_to(self._client):
            arguments: list[Any] = [self._membership.group, keep_seconds, AT_ONCE]
            reply = await self._script(keys=self._keys(stream), args=arguments)
        trimmed = int(reply[0])
        self._report.trimmed += trimmed
        return trimmed

    async def _sweep(self, stream: bytes, keep_seconds: int) -> int:
        """Delete what is settled though something before it is pending. The next round goes on where this one ends."""
        deleted = 0
        for _ in range(CALLS):
            start = self._swept_to.pop(stream, b"-")
            arguments: list[Any] = [self._membership.group, keep_seconds, start, PAGE]
            async with talking_to(self._client):
                gone, following = await self._sweep_script(keys=self._keys(stream), args=arguments)
            deleted += gone
            if not following:
                break
            self._swept_to[stream] = following
        self._report.trimmed += deleted
        return deleted

    def _keys(self, stream: bytes) -> list[Any]:
        return [stream, self._membership.tally(stream)]

    async def _memory_is_short(self) -> bool:
        async with talking_to(self._client):
            try:
                facts = await self._client.info("memory")
            except NoPermissionError:  # said at start, see preflight.py
                return False
        return 0 < int(facts.get("maxmemory", 0)) * PRESSURE < int(facts["used_memory"])

    def _say(self, holders: list[Holder]) -> None:
        for holder in holders:
            if (holder.stream, holder.group) not in self._said:
                log.warning("%s", holder)
        self._said = {(holder.stream, holder.group) for holder in holders}


async def read_holders(client: Redis, membership: Membership, keep_seconds: int) -> list[Holder]:
    """The groups that block trimming; trims nothing. Raises `Transient` or `Fatal`."""
    script = client.register_script(load("stream_facts", "trim"))
    found = []
    async with talking_to(client):
        seconds, _ = await client.time()
        for stream in membership.streams:
            reply: Any = await script(keys=[stream, membership.tally(stream)], args=[membership.group, -1, 0])
            if len(reply) > 1:
                _, group, held = reply
                age = seconds - int(held.partition(b"-")[0]) / 1000
                if age > keep_seconds + PATIENCE_SECONDS:
                    found.append(Holder(stream.decode(), group.decode("utf-8", "backslashreplace"), age))
    return found
