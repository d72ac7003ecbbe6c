"""The frames of the streams that are not settled, without their bodies: pending ones, then unread ones."""

from collections.abc import AsyncIterator, Iterable, Sequence

from redis.asyncio import Redis

from tracequeue_worker.audit.waiting import WaitingFrame
from tracequeue_worker.lua import load
from tracequeue_worker.redis_client import talking_to, unless_missing
from tracequeue_worker.streams import Membership

PENDING_PAGE = 1_000
PENDING_CHUNK = 50
"""Pending entries looked at in one call."""
HEAD = (b"src", b"seq", b"n", b"acct", b"meta")


class UnsettledFrames:
    """Reads the streams page by page: memory does not grow with the backlog."""

    def __init__(self, client: Redis, membership: Membership) -> None:
        self._client = client
        self._membership = membership
        self._heads = client.register_script(load("frame_heads"))

    async def all(self) -> AsyncIterator[WaitingFrame]:
        """Every frame that was not settled when it was looked for. Raises `Transient` or `Fatal`."""
        for stream, partition in self._membership.partitions.items():
            async for entry_id, *values in self._of_stream(stream):
                fields = {name: value for name, value in zip(HEAD, values, strict=True) if value}
                yield WaitingFrame("stream", partition, fields, int(entry_id.partition(b"-")[0]))

    async def _of_stream(self, stream: bytes) -> AsyncIterator[Sequence[bytes]]:
        """What is delivered or added meanwhile is not missed: both ends are taken before anything is read."""
        facts = await unless_missing(self._client, self._client.xinfo_stream(stream))
        if facts is None:
            return
        groups = await unless_missing(self._client, self._client.xinfo_groups(stream)) or []
        group = next((one for one in groups if one["name"] == self._membership.group.encode()), None)
        if group:
            async for ids in self._pending(stream):
                for head in await self._look(stream, ((entry_id, entry_id) for entry_id in ids)):
                    yield head
        if group and group["last-delivered-id"] == facts["last-generated-id"]:
            return
        start = b"(" + (group["last-delivered-id"] if group else b"0-0")
        while page := await self._look(stream, [(start, facts["last-generated-id"])]):
            for head in page:
                yield head
            start = b"(" + page[-1][0]

    async def _pending(self, stream: bytes) -> AsyncIterator[list[bytes]]:
        start = b"-"
        while True:
            command = self._client.xpending_range(stream, self._membership.group, start, "+", PENDING_PAGE)
            ids = [item["message_id"] for item in await unless_missing(self._client, command) or []]
            for position in range(0, len(ids), PENDING_CHUNK):
                yield ids[position : position + PENDING_CHUNK]
            if len(ids) < PENDING_PAGE:
                return
            start = b"(" + ids[-1]

    async def _look(self, stream: bytes, intervals: Iterable[tuple[bytes, bytes]]) -> Sequence[Sequence[bytes]]:
        arguments = [end for interval in intervals for end in interval]
        async with talking_to(self._client):
            heads: Sequence[Sequence[bytes]] = await self._heads(keys=[stream], args=arguments)
        return heads
