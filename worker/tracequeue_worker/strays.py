"""Frames in streams beyond our partitions, which nobody reads: bots that have more partitions than the workers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from redis.asyncio import Redis

from tracequeue.keys import events_key
from tracequeue_worker.backlog import Backlog, read_backlog
from tracequeue_worker.errors import Fatal
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

MOST_PARTITIONS: Final = 1024
"""The bound of the setting."""
WAITING_SECONDS: Final = 30.0
"""So long frames may wait there: the workers of before may still be reading while the number is changed."""


def all_partitions(membership: Membership) -> Mapping[bytes, int]:
    """Stream key -> partition, whatever number of partitions a bot may have."""
    return {events_key(membership.prefix, number).encode(): number for number in range(MOST_PARTITIONS)}


async def with_strays(client: Redis, membership: Membership) -> Membership:
    """The same with every stream of the prefix that has entries. Raises `Transient` or `Fatal`."""
    beyond = [(key, number) for key, number in all_partitions(membership).items() if key not in membership.partitions]
    async with talking_to(client):
        pipeline = client.pipeline(transaction=False)
        for key, _ in beyond:
            pipeline.xlen(key)
        lengths = await pipeline.execute(raise_on_error=False)
    found = dict(one for one, length in zip(beyond, lengths, strict=True) if isinstance(length, int) and length)
    return replace(membership, partitions={**membership.partitions, **found})


async def read_strays(client: Redis, membership: Membership) -> list[Backlog]:
    """The partitions beyond ours in which frames wait, and not since a moment ago. Raises `Transient` or `Fatal`."""
    everything = await with_strays(client, membership)
    beyond = {key: number for key, number in everything.partitions.items() if key not in membership.partitions}
    backlogs = await read_backlog(client, replace(membership, partitions=beyond))
    return [one for one in backlogs if (one.oldest_seconds or 0.0) > WAITING_SECONDS]


async def check_strays(client: Redis, membership: Membership) -> None:
    """Raises `Fatal` with the cure where frames wait for nobody; `Transient` or `Fatal` where Redis cannot say."""
    if strays := await read_strays(client, membership):
        raise Fatal(f"{shown_strays(strays)}: {cure(strays)}")


def shown_strays(strays: list[Backlog]) -> str:
    """How many frames wait where."""
    frames = sum(one.unread + one.pending for one in strays)
    return f"{frames} frames wait in partitions that nobody reads: {', '.join(str(one.partition) for one in strays)}"


def cure(strays: list[Backlog]) -> str:
    return f"start the workers with TRACEQUEUE_PARTITIONS={strays[-1].partition + 1}, or more if the bots have more"
