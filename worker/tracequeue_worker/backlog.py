"""What waits in the streams: unread, pending, how old, and how many dead letters."""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from tracequeue_worker.lua import load
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

COUNTED_AT_ONCE = 2_000
"""Entries, where only counting tells how many are unread: a few milliseconds of the server's time."""
COUNTED_AT_MOST = 1_000_000
"""There the figure stops."""
LAST_ID = b"18446744073709551615-18446744073709551615"
"""Any producer can take it. Redis refuses a range that begins behind it."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """One partition, in frames. `oldest_seconds` is the age of the oldest frame not settled, None without one."""

    partition: int
    unread: int
    pending: int
    oldest_seconds: float | None
    dead_letters: int
    consumers: int

    @property
    def empty(self) -> bool:
        return not self.unread and not self.pending


async def read_backlog(client: Redis, membership: Membership) -> list[Backlog]:
    """One figure per partition. Raises `Transient` or `Fatal`."""
    async with talking_to(client):
        seconds, microseconds = await client.time()
        now_ms = seconds * 1000 + microseconds // 1000
        return [await _of_stream(client, membership, stream, now_ms) for stream in membership.streams]


async def _of_stream(client: Redis, membership: Membership, stream: bytes, now_ms: int) -> Backlog:
    look = client.register_script(load("stream_facts", "backlog"))
    unread, pending, last_read, consumers = await look(keys=[stream, membership.tally(stream)], args=[membership.group])
    oldest = await _oldest(client, stream, membership.group, last_read, pending)
    return Backlog(
        partition=membership.partitions[stream],
        unread=unread if unread >= 0 else await _count_after(client, stream, last_read),
        pending=pending,
        oldest_seconds=None if oldest is None else max(0, now_ms - _milliseconds(oldest)) / 1000,
        dead_letters=await client.xlen(membership.dead(stream)),
        consumers=consumers,
    )


async def _count_after(client: Redis, stream: bytes, entry_id: bytes) -> int:
    count_after = client.register_script(load("count_after"))
    total, counted = 0, COUNTED_AT_ONCE
    while counted == COUNTED_AT_ONCE and total < COUNTED_AT_MOST:
        counted, entry_id = await count_after(keys=[stream], args=[entry_id, COUNTED_AT_ONCE])
        total += counted
    return total


async def _oldest(client: Redis, stream: bytes, group: str, last_read: bytes, pending: int) -> bytes | None:
    """The id of the oldest frame that is not settled."""
    if pending:
        summary = await client.xpending(stream, group)
        if summary["min"]:
            return bytes(summary["min"])
    if last_read == LAST_ID:
        return None
    unread: Any = await client.xrange(stream, b"(" + last_read, "+", count=1)
    return unread[0][0] if unread else None


def _milliseconds(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])
