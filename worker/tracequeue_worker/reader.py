"""XREADGROUP: new entries of all partitions, bounded by bytes. It never assumes that the group exists."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tracequeue_worker.lease import InFlight
from tracequeue_worker.lua import load
from tracequeue_worker.records import Entry
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

BLOCK_MS = 500
"""How long a read waits for news: also how long a stop waits for the reader."""
REPLY_BYTES = 4 * 1024 * 1024
MOST_ENTRIES = 100
"""Per reply. It bounds the one reply that comes before sizes are known: 100 entries of 1 MB, not 1,000."""
LARGEST_DECAY = 0.75


class PageSize:
    """How many entries to ask for, so that a reply stays near `REPLY_BYTES`: from the largest entries seen lately."""

    def __init__(self) -> None:
        self._largest = REPLY_BYTES / 10

    @property
    def entries(self) -> int:
        return max(1, min(MOST_ENTRIES, int(REPLY_BYTES / self._largest)))

    def learn(self, entries: Iterable[Entry]) -> None:
        """Large entries count at once, small ones little by little."""
        seen = max((entry.size for entry in entries), default=0)
        if seen:
            self._largest = max(seen, self._largest * LARGEST_DECAY)


class Reader:
    """Reads what the group has not delivered to anyone yet."""

    def __init__(self, client: Redis, membership: Membership, in_flight: InFlight, *, block_ms: int = BLOCK_MS) -> None:
        self._client = client
        self._membership = membership
        self._in_flight = in_flight
        self._block_ms = block_ms
        self._create_group = client.register_script(load("create_group"))
        self._page = PageSize()

    async def read(self, *, block: bool = True) -> list[Entry]:
        """The next entries, or none after the block time. Raises `Transient` or `Fatal`."""
        reply = await self._reply(block)
        entries = entries_of(reply, self._membership)
        self._in_flight.add(entries)
        self._page.learn(entries)
        return entries

    async def create_groups(self) -> None:
        """Create the group where it is missing, at the stream's beginning: what is already there counts too."""
        async with talking_to(self._client):
            for stream in self._membership.streams:
                try:
                    await self._create_group(keys=[stream], args=[self._membership.group])
                except ResponseError as error:
                    if not str(error).startswith("BUSYGROUP"):
                        raise

    async def _reply(self, block: bool) -> Any:
        while True:
            async with talking_to(self._client):
                try:
                    return await self._fetch(block)
                except ResponseError as error:
                    if not group_is_missing(error):
                        raise
            await self.create_groups()

    async def _fetch(self, block: bool) -> Any:
        streams = self._membership.streams
        return await self._client.xreadgroup(
            self._membership.group,
            self._membership.consumer,
            dict.fromkeys(streams, ">"),
            count=max(1, self._page.entries // len(streams)),
            block=self._block_ms if block else None,
        )


def group_is_missing(error: ResponseError) -> bool:
    """The stream or its group vanished: Redis 6.2 and 7.2+ say NOGROUP, 7.0 says UNBLOCKED to a blocked reader."""
    return str(error).startswith(("NOGROUP", "UNBLOCKED"))


def entries_of(reply: Any, membership: Membership) -> list[Entry]:
    """The entries of an XREADGROUP reply: nothing, pairs of stream and entries, or a mapping of them (RESP3)."""
    pairs: Sequence[Any] = list(reply.items()) if isinstance(reply, Mapping) else reply or []
    return [
        Entry(stream, membership.partitions[stream], entry_id, fields)
        for stream, page in pairs
        for entry_id, fields in _flat(page)
    ]


def _flat(page: Sequence[Any]) -> Sequence[Any]:
    """RESP3 shapes of some client versions wrap the page in one more list."""
    return page[0] if len(page) == 1 and isinstance(page[0], list) and not isinstance(page[0][0], bytes) else page
