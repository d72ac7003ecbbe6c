"""The settled frames of the streams, into files. Nothing in Redis changes."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from redis.asyncio import Redis

from tracequeue_worker.bounds import Bounds, place_of
from tracequeue_worker.history.file_format import Header, asked
from tracequeue_worker.history.frame_records import frame_line
from tracequeue_worker.history.rotation import Rotation
from tracequeue_worker.records import Entry
from tracequeue_worker.redis_client import unless_missing
from tracequeue_worker.stream_pages import pages
from tracequeue_worker.streams import Membership

PENDING_PAGE: Final = 1_000
NOTHING_DELIVERED: Final = b"0-0"


class StreamExport:
    """`unsettled` counts the frames that were left out: no worker has stored them yet."""

    def __init__(self, client: Redis, membership: Membership, bounds: Bounds, files: Rotation) -> None:
        self.unsettled = 0
        self._client = client
        self._membership = membership
        self._bounds = bounds
        self._files = files

    async def run(self) -> None:
        """Every frame that is settled when its stream is begun. Raises `Transient` or `Fatal`."""
        for stream in self._membership.streams:
            await self._export(stream)
        self._files.finish()

    async def _export(self, stream: bytes) -> None:
        facts = await unless_missing(self._client, self._client.xinfo_stream(stream))
        if facts is None:
            return
        groups = await unless_missing(self._client, self._client.xinfo_groups(stream)) or []
        delivered = next(
            (one["last-delivered-id"] for one in groups if one["name"] == self._membership.group.encode()),
            NOTHING_DELIVERED,
        )
        pending = {entry_id async for entry_id in self._pending(stream)}
        last = min(place_of(delivered), place_of(facts["last-generated-id"]))
        header = partial(Header, tracequeue="frames", source=[stream.decode()], **asked(self._bounds))
        async for entry in self._entries(stream, facts["last-generated-id"]):
            if place_of(entry.id) > last or entry.id in pending:
                self.unsettled += 1
                continue
            record = frame_line(entry)
            self._files.add(header, record.line, events=record.events, at=record.at)

    async def _pending(self, stream: bytes) -> AsyncIterator[bytes]:
        start = self._bounds.first
        while True:
            command = self._client.xpending_range(
                stream, self._membership.group, start, self._bounds.last, PENDING_PAGE
            )
            ids = [item["message_id"] for item in await unless_missing(self._client, command) or []]
            for entry_id in ids:
                yield entry_id
            if len(ids) < PENDING_PAGE:
                return
            start = f"({ids[-1].decode()}"

    async def _entries(self, stream: bytes, newest: bytes) -> AsyncIterator[Entry]:
        """Within the bounds, and not beyond what was there at first."""
        partition = self._membership.partitions[stream]
        async for page in pages(self._client, stream, partition, self._bounds.first, self._bounds.last):
            for entry in page:
                if place_of(entry.id) > place_of(newest):
                    return
                yield entry
