"""Settles what is archived, a bounded number of entries at a time."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from redis.asyncio import Redis

from tracequeue_worker.lua import load
from tracequeue_worker.records import Entry
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

CHUNK: Final = 1_000
"""Entries per call: about a millisecond of the server's time."""


class Acknowledger:
    """Nothing is written to Redis but acknowledgements, and their number to the tally."""

    def __init__(self, client: Redis, membership: Membership) -> None:
        self._client = client
        self._membership = membership
        self._script = client.register_script(load("acknowledge"))

    async def acknowledge(self, entries: Sequence[Entry]) -> int:
        """How many were still pending. May be repeated. Raises `Transient` or `Fatal`."""
        acknowledged = 0
        for stream, of_stream in groupby(sorted(entries, key=_stream), _stream):
            ids = [entry.id for entry in of_stream]
            keys: list[Any] = [stream, self._membership.tally(stream)]
            for start in range(0, len(ids), CHUNK):
                arguments: list[Any] = [self._membership.group, *ids[start : start + CHUNK]]
                async with talking_to(self._client):
                    acknowledged += int(await self._script(keys=keys, args=arguments))
        return acknowledged


def _stream(entry: Entry) -> bytes:
    return entry.stream
