"""The live streams as a source, read beside the workers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis.asyncio import Redis

from tracequeue_worker.bounds import Bounds, place_of
from tracequeue_worker.preflight import address_of
from tracequeue_worker.redis_client import talking_to, unless_missing
from tracequeue_worker.replay.selection import EVERYTHING
from tracequeue_worker.replay.source import Part, Taken
from tracequeue_worker.stream_pages import pages
from tracequeue_worker.streams import Membership

NOTHING: Final = b"0-0"
"""Before all entries."""


class Account(Protocol):
    """What the target says of a stream."""

    async def entries_read(self, stream: str) -> int | None:
        """How many entries this replay read, in all its runs; None where another process finished it."""

    async def known_elsewhere(self, stream: str, last: str | None) -> int:
        """How many frames, of entries up to one, the target knows from somewhere else than this replay."""


@dataclass(slots=True)
class _Begun:
    """A stream as it was when the replay began."""

    last: bytes | None
    """The last entry that is asked for."""
    ever: int | None
    """How many entries it ever had up to that one; None where nobody knows, or not all are asked for."""
    gone: int
    """How many of all its entries were there no more."""
    exists: bool


class StreamSource:
    """Every partition is a part, up to the entry that was the last one when the replay began."""

    def __init__(
        self, client: Redis, url: str, membership: Membership, bounds: Bounds = EVERYTHING,
        account: Account | None = None,
    ) -> None:  # fmt: skip
        self.name = f"stream of {membership.prefix} in Redis at {address_of(url)}"
        self._client = client
        self._membership = membership
        self._bounds = bounds
        self._account = account
        self._begun: dict[str, _Begun] = {}
        self._short: set[str] = set()
        """Streams that ended before the entry that was the last one."""

    async def parts(self) -> list[Part]:
        """The partitions that hold anything. Raises `Transient` or `Fatal`."""
        return [part for stream in self._membership.streams if (part := await self._part(stream))]

    async def read(self, part: Part, after: str | None) -> AsyncIterator[Taken]:
        """The entries behind an id. Raises `Transient` or `Fatal`."""
        stream, last = part.key.encode(), self._begun[part.key].last or NOTHING
        reached = after.encode() if after else NOTHING
        first = f"({after}" if after else self._bounds.first
        async for page in pages(self._client, stream, self._membership.partitions[stream], first, last):
            for entry in page:
                yield Taken(entry, entry.id.decode(), 1)
            reached = page[-1].id
        (self._short.add if place_of(reached) < place_of(last) else self._short.discard)(part.key)

    async def shortfalls(self) -> list[str]:
        """What was trimmed, also while the replay read, and never reached the target. Raises `Transient` or `Fatal`."""
        if self._account is None:
            return []
        found = [await self._shortfall(self._account, key, begun) for key, begun in self._begun.items()]
        if not (any(found) or any(begun.exists for begun in self._begun.values())):
            return [f"there is no {self.name}: check TRACEQUEUE_PREFIX and TRACEQUEUE_REDIS_URL"]
        return [sentence for sentence in found if sentence]

    async def _shortfall(self, account: Account, stream: str, begun: _Begun) -> str | None:
        read = await account.entries_read(stream)
        if read is None:
            return None
        if self._bounds or begun.ever is None:
            gone = begun.gone
            if stream in self._short:
                return f"{stream} was trimmed or emptied while it was read: its last entries were not met"
        else:
            gone = begun.ever - read
            if int((await self._facts(stream.encode())).get("entries-added", 0)) < read:
                return f"{stream} was deleted or made anew since this replay began: what it held then is unknown"
        last = begun.last.decode() if begun.last else None
        known = await account.known_elsewhere(stream, last) if gone > 0 else 0
        missed = gone - known > 0 and gone - known > await self._came_again(stream)
        return _missed(stream, gone, known) if missed else None

    async def _came_again(self, stream: str) -> int:
        """How many entries brought a frame that had come before: a ledger has one of them."""
        tally, field = self._membership.tally(stream.encode()), f"repeated:{self._membership.group}"
        async with talking_to(self._client):
            (count,) = await self._client.hmget(tally, field)
        return int(count or 0)

    async def _part(self, stream: bytes) -> Part | None:
        facts = await self._facts(stream)
        bounds, newest = self._bounds, None
        async with talking_to(self._client):
            if bounds:
                newest = await self._client.xrevrange(stream, bounds.last, bounds.first, 1)
        key, length, ever = stream.decode(), int(facts.get("length", 0)), facts.get("entries-added") if facts else 0
        oldest, last = ((facts.get(name) or (None,))[0] for name in ("first-entry", "last-entry"))
        if self._bounds:
            last = newest[0][0] if newest else None
        may_be_asked_for = oldest is None or Bounds(self._bounds.since).holds(oldest)
        gone = int(ever) - length if ever is not None and may_be_asked_for else 0
        begun = self._begun.setdefault(key, _Begun(last, ever, gone, bool(facts)))
        return Part(key, None if self._bounds else length) if begun.last else None

    async def _facts(self, stream: bytes) -> dict[str, Any]:
        facts: dict[str, Any] | None = await unless_missing(self._client, self._client.xinfo_stream(stream))
        return facts or {}


def _missed(stream: str, gone: int, known: int) -> str:
    these = "entry is" if gone == 1 else "entries are"
    return (
        f"{gone} {these} no more in {stream}, trimmed or deleted, and the target knows {known} frames of them: replay "
        "an archive too, if there is one (`tracequeue replay --file ...`)"
    )
