"""The live streams as a source: XRANGE beside the workers, so no group notices."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tracequeue_worker.bounds import Bounds
from tracequeue_worker.preflight import address_of
from tracequeue_worker.reader import PageSize
from tracequeue_worker.records import Entry
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.replay.selection import EVERYTHING
from tracequeue_worker.replay.source import Part, Taken
from tracequeue_worker.streams import Membership


class KnownElsewhere(Protocol):
    """How many frames of a stream the target knows from somewhere else than this replay."""

    async def __call__(self, stream: str) -> int: ...


class StreamSource:
    """Every partition is a part, up to the entry that was the last one when the replay began."""

    def __init__(
        self, client: Redis, url: str, membership: Membership, bounds: Bounds = EVERYTHING,
        known_elsewhere: KnownElsewhere | None = None,
    ) -> None:  # fmt: skip
        self.name = f"stream of {membership.prefix} in Redis at {address_of(url)}"
        self._client = client
        self._membership = membership
        self._bounds = bounds
        self._known_elsewhere = known_elsewhere
        self._last: dict[str, bytes] = {}
        """Part -> its last entry."""
        self._gone: dict[str, int] = {}
        """Part -> how many entries it had before and has no more, where these may be asked for."""

    async def parts(self) -> list[Part]:
        """The partitions that hold anything. Raises `Transient` or `Fatal`."""
        return [part for stream in self._membership.streams if (part := await self._part(stream))]

    async def read(self, part: Part, after: str | None) -> AsyncIterator[Taken]:
        """The entries behind an id. Raises `Transient` or `Fatal`."""
        stream = part.key.encode()
        first, page = f"({after}" if after else self._bounds.first, PageSize()
        while True:
            async with talking_to(self._client):
                rows: Any = await self._client.xrange(stream, first, self._last[part.key], page.entries)
            entries = [Entry(stream, self._membership.partitions[stream], *row) for row in rows]
            for entry in entries:
                yield Taken(entry, entry.id.decode(), 1)
            if not entries:
                return
            page.learn(entries)
            first = f"({entries[-1].id.decode()}"

    async def shortfalls(self) -> list[str]:
        """What was trimmed and never reached the target. Raises `Transient` or `Fatal`."""
        if self._known_elsewhere is None:
            return []
        found = []
        for key, gone in self._gone.items():
            known = await self._known_elsewhere(key) if gone else 0
            if gone > known:
                found.append(_shortfall(key, gone, known))
        return found

    async def _part(self, stream: bytes) -> Part | None:
        async with talking_to(self._client):
            newest: Any = await self._client.xrevrange(stream, self._bounds.last, "-", 1)
            oldest: Any = await self._client.xrange(stream, count=1)
            facts = await self._facts(stream)
        key = stream.decode()
        length = int(facts.get("length", 0))
        if not oldest or Bounds(self._bounds.since).holds(oldest[0][0]):
            self._gone[key] = int(facts.get("entries-added", length)) - length
        if not newest:
            return None
        self._last.setdefault(key, newest[0][0])
        return Part(key, None if self._bounds else length)

    async def _facts(self, stream: bytes) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = await self._client.xinfo_stream(stream)
        except ResponseError as error:
            if "no such key" in str(error):
                return {}
            raise
        return facts


def _shortfall(stream: str, gone: int, known: int) -> str:
    these = "entry is" if gone == 1 else "entries are"
    return (
        f"{gone} {these} no more in {stream}, trimmed or deleted, and the target knows {known} frames of them: replay "
        "an archive too, if there is one (`tracequeue replay --file ...`)"
    )
