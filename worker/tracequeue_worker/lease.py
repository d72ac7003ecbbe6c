"""The entries in flight in this process, and the lease that keeps other workers from taking them over."""

import asyncio
from collections.abc import Iterable, Iterator

from redis.asyncio import Redis

from tracequeue_worker.backoff import Patience
from tracequeue_worker.lua import load
from tracequeue_worker.records import Entry
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

CHUNK = 500
"""Entries per script call: about a millisecond of the server's time."""


class InFlight:
    """Entries read and not yet settled, by stream."""

    def __init__(self, streams: Iterable[bytes]) -> None:
        self._ids: dict[bytes, set[bytes]] = {stream: set() for stream in streams}
        self._taken = dict.fromkeys(self._ids, 0)

    def add(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._ids[entry.stream].add(entry.id)
            self._taken[entry.stream] += 1

    def release(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._ids[entry.stream].discard(entry.id)

    def drop(self, stream: bytes, ids: Iterable[bytes]) -> None:
        """Let go of entries by their ids."""
        self._ids[stream].difference_update(ids)

    def of(self, stream: bytes) -> frozenset[bytes]:
        """A snapshot of the ids of one stream."""
        return frozenset(self._ids[stream])

    def taken(self, stream: bytes) -> int:
        """How many entries of a stream were ever added."""
        return self._taken[stream]

    def holds(self, stream: bytes, entry_id: bytes) -> bool:
        return entry_id in self._ids[stream]

    def __len__(self) -> int:
        return sum(map(len, self._ids.values()))


class Lease:
    """Resets the idle time of what is in flight here, entry by entry only if it is still ours."""

    def __init__(self, client: Redis, membership: Membership, in_flight: InFlight, *, min_idle_ms: int) -> None:
        self._client = client
        self._membership = membership
        self._in_flight = in_flight
        self._interval = min_idle_ms / 3000
        self._renew = client.register_script(load("stream_facts", "renew_lease"))
        self.patience = Patience("renewing the lease")

    async def run(self) -> None:
        """Renew three times per claim time, until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.patience.until_done(self.renew)

    async def renew(self) -> int:
        """Renew once; how many were still ours."""
        renewed = 0
        for stream, ids in self._chunks():
            async with talking_to(self._client):
                arguments: list[str | bytes] = [self._membership.group, self._membership.consumer, *ids]
                renewed += int(await self._renew(keys=[stream], args=arguments))
        return renewed

    def _chunks(self) -> Iterator[tuple[bytes, list[bytes]]]:
        for stream in self._membership.streams:
            ids = list(self._in_flight.of(stream))
            for start in range(0, len(ids), CHUNK):
                yield stream, ids[start : start + CHUNK]
