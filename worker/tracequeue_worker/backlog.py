"""What waits in the streams: unread, pending, how old, and how many dead letters."""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tracequeue_worker.lua import load
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

COUNTED_AT_MOST = 2_000
"""Where the server does not know its lag, the figure stops here: counting holds the server up."""


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
    group = await _group(client, stream, membership.group)
    last_read = group["last-delivered-id"] if group else b"0-0"
    pending = group["pending"] if group else 0
    oldest = await _oldest(client, stream, membership.group, last_read, pending)
    return Backlog(
        partition=membership.partitions[stream],
        unread=await _unread(client, stream, group),
        pending=pending,
        oldest_seconds=None if oldest is None else max(0, now_ms - _milliseconds(oldest)) / 1000,
        dead_letters=await client.xlen(membership.dead(stream)),
        consumers=group["consumers"] if group else 0,
    )


async def _group(client: Redis, stream: bytes, name: str) -> dict[str, Any] | None:
    try:
        groups = await client.xinfo_groups(stream)
    except ResponseError:  # there is no such stream yet
        return None
    return next((group for group in groups if group["name"] == name.encode()), None)


async def _unread(client: Redis, stream: bytes, group: dict[str, Any] | None) -> int:
    """The server's own `lag`, or counted: it is absent on 6.2, and null once an unread entry was deleted."""
    if group is None:
        return int(await client.xlen(stream))
    if isinstance(group.get("lag"), int):
        return int(group["lag"])
    count_after = client.register_script(load("count_after"))
    return int(await count_after(keys=[stream], args=[group["last-delivered-id"], COUNTED_AT_MOST]))


async def _oldest(client: Redis, stream: bytes, group: str, last_read: bytes, pending: int) -> bytes | None:
    """The id of the oldest frame that is not settled."""
    if pending:
        summary = await client.xpending(stream, group)
        if summary["min"]:
            return bytes(summary["min"])
    unread: Any = await client.xrange(stream, b"(" + last_read, "+", count=1)
    return unread[0][0] if unread else None


def _milliseconds(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[0])
