"""XRANGE: the entries of a stream between two ids, page by page, so that no group notices."""

from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Redis

from tracequeue_worker.reader import PageSize
from tracequeue_worker.records import Entry
from tracequeue_worker.redis_client import talking_to


async def pages(
    client: Redis, stream: bytes, partition: int, first: str | bytes, last: str | bytes
) -> AsyncIterator[list[Entry]]:
    """Both ends as XRANGE takes them. No page is empty. Raises `Transient` or `Fatal`."""
    size = PageSize()
    while True:
        async with talking_to(client):
            rows: Any = await client.xrange(stream, first, last, size.entries)
        if not rows:
            return
        entries = [Entry(stream, partition, *row) for row in rows]
        size.learn(entries)
        yield entries
        first = b"(" + entries[-1].id
