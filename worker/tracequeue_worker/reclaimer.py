"""Pending entries that nobody works on: those of dead workers, and our own whose delivery was lost on the way."""

import logging
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Iterable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tracequeue_worker.lease import InFlight
from tracequeue_worker.losses import Losses
from tracequeue_worker.lua import load
from tracequeue_worker.reader import PageSize, group_is_missing
from tracequeue_worker.records import Entry, Place
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

OWN_PAGE = 1_000
"""Ids of our own pending list per command; their entries are fetched in smaller pages."""
FORGOTTEN_AFTER = 3
"""A consumer with nothing pending that was silent for so many claim times is removed."""

log = logging.getLogger(__name__)


class Reclaimer:
    """Runs in the reader's place, between its reads, so that no reply of a read can be on its way meanwhile.

    `taken_over` counts entries of silent workers, `vanished` those that were pending but deleted from the stream: lost
    to whoever trimmed it, and told to `losses`.
    """

    def __init__(
        self,
        client: Redis,
        membership: Membership,
        in_flight: InFlight,
        *,
        min_idle_ms: int,
        losses: Losses | None = None,
    ) -> None:
        self.taken_over = 0
        self.vanished = 0
        self._client = client
        self._membership = membership
        self._in_flight = in_flight
        self._min_idle_ms = min_idle_ms
        self._losses = losses or Losses()
        self._page = PageSize()
        self._next_round = 0.0
        self._remove_consumers = client.register_script(load("remove_consumers"))
        self._claim = client.register_script(load("stream_facts", "claim"))
        self._forget = client.register_script(load("forget"))

    @property
    def due(self) -> bool:
        """Whether it is time for a round: two per claim time."""
        return time.monotonic() >= self._next_round

    async def round(self) -> AsyncGenerator[list[Entry], None]:
        """All that can be had now, page after page, registered as in flight. Raises `Transient` or `Fatal`."""
        for stream in self._membership.streams:
            async for page in self._of_dead_workers(stream):
                yield page
            async for page in self._own_lost(stream):
                yield page
            await self._forget_consumers(stream)
        self._next_round = time.monotonic() + self._min_idle_ms / 2000

    async def bring(self, places: Iterable[Place]) -> list[Entry]:
        """Entries that are in flight, but of which only the ids were kept. What is not pending under our name any more
        is not in flight either. Raises `Transient` or `Fatal`."""
        ids: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for stream, entry_id in places:
            ids[stream].append(entry_id)
        entries = []
        for stream, wanted in ids.items():
            found = await self._load(stream, await self._ours(stream, wanted))
            self._in_flight.drop(stream, wanted)
            entries += self._take(stream, found)
        return entries

    async def pending(self) -> tuple[int, int]:
        """How many entries are pending under our name, and under other names."""
        ours = others = 0
        for stream in self._membership.streams:
            summary = await self._unless_missing(self._client.xpending(stream, self._membership.group))
            for consumer in summary["consumers"] if summary else []:
                if consumer["name"] == self._membership.consumer.encode():
                    ours += consumer["pending"]
                else:
                    others += consumer["pending"]
        return ours, others

    async def leave(self) -> None:
        """Remove our own consumer from the group, where nothing is pending under it."""
        for stream in self._membership.streams:
            await self._remove(stream, least_idle_ms=0, spared="", only=self._membership.consumer)

    async def _of_dead_workers(self, stream: bytes) -> AsyncGenerator[list[Entry], None]:
        keys, group, consumer = self._keys(stream), self._membership.group, self._membership.consumer
        start = b"-"
        while start:
            arguments: list[Any] = [group, consumer, self._min_idle_ms, start, self._page.entries]
            reply = await self._unless_missing(self._claim(keys=keys, args=arguments))
            if reply is None:
                return
            start, claimed, lost = reply
            self._count_vanished(stream, lost)
            claimed = [(entry_id, _fields(flat)) for entry_id, flat in claimed]
            if page := self._take(stream, claimed):
                self.taken_over += len(page)
                log.info("took over %d entries of silent workers from %s", len(page), stream.decode())
                yield page

    async def _own_lost(self, stream: bytes) -> AsyncGenerator[list[Entry], None]:
        """Pending under our name, yet not in flight here: the reply that carried them never arrived."""
        async for lost in self._own_lost_ids(stream):
            fetched = 0
            while fetched < len(lost):
                ids = lost[fetched : fetched + self._page.entries]
                fetched += len(ids)
                if page := await self._fetch(stream, ids):
                    yield page

    async def _own_lost_ids(self, stream: bytes) -> AsyncGenerator[list[bytes], None]:
        start = b"-"
        while True:
            known = self._in_flight.of(stream)
            group, consumer = self._membership.group, self._membership.consumer
            command = self._client.xpending_range(stream, group, start, "+", OWN_PAGE, consumer)
            pending = await self._unless_missing(command)
            ids = [item["message_id"] for item in pending or []]
            if lost := [entry_id for entry_id in ids if entry_id not in known]:
                yield lost
            if len(ids) < OWN_PAGE:
                return
            start = b"(" + ids[-1]

    async def _ours(self, stream: bytes, ids: Iterable[bytes]) -> list[bytes]:
        """Those of the ids that are pending under our name."""
        group, consumer = self._membership.group, self._membership.consumer
        pipeline = self._client.pipeline(transaction=False)
        for entry_id in ids:
            pipeline.xpending_range(stream, group, entry_id, entry_id, 1, consumer)
        return [item["message_id"] for reply in await self._unless_missing(pipeline.execute()) or [] for item in reply]

    async def _fetch(self, stream: bytes, ids: Sequence[bytes]) -> list[Entry]:
        return self._take(stream, await self._load(stream, ids))

    async def _load(self, stream: bytes, ids: Sequence[bytes]) -> list[tuple[bytes, Any]]:
        if not ids:
            return []
        async with talking_to(self._client):
            pipeline = self._client.pipeline(transaction=False)
            for entry_id in ids:
                pipeline.xrange(stream, entry_id, entry_id)
            replies = await pipeline.execute()
            gone = [entry_id for entry_id, reply in zip(ids, replies, strict=True) if not reply]
            forgotten = await self._forget(keys=self._keys(stream), args=[self._membership.group, *gone]) if gone else 0
        self._count_vanished(stream, forgotten)
        return [reply[0] for reply in replies if reply]

    def _take(self, stream: bytes, found: Iterable[tuple[bytes, Any]]) -> list[Entry]:
        partition = self._membership.partitions[stream]
        entries = [
            Entry(stream, partition, entry_id, fields)
            for entry_id, fields in found
            if not self._in_flight.holds(stream, entry_id)
        ]
        self._in_flight.add(entries)
        self._page.learn(entries)
        return entries

    def _count_vanished(self, stream: bytes, entries: int) -> None:
        if entries:
            self.vanished += entries
            self._losses.add(stream.decode(), "pending", entries)

    def _keys(self, stream: bytes) -> list[Any]:
        return [stream, self._membership.tally(stream)]

    async def _forget_consumers(self, stream: bytes) -> None:
        silence = self._min_idle_ms * FORGOTTEN_AFTER
        await self._remove(stream, least_idle_ms=silence, spared=self._membership.consumer, only="")

    async def _remove(self, stream: bytes, *, least_idle_ms: int, spared: str, only: str) -> None:
        async with talking_to(self._client):
            arguments: list[str | int] = [self._membership.group, least_idle_ms, spared, only]
            await self._remove_consumers(keys=[stream], args=arguments)

    async def _unless_missing(self, command: Awaitable[Any]) -> Any:
        """The reply, or None where the group is missing: the reader creates it anew."""
        async with talking_to(self._client):
            try:
                return await command
            except ResponseError as error:
                if not group_is_missing(error):
                    raise
                return None


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """An entry's fields as a script returns them: names and values in turn."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
