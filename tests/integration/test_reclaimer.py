"""Pending entries on a real Redis: taken over from the dead, found again after a lost reply, left to the living."""

import pytest
from redis.asyncio import Redis

from tests.fixtures.polling import eventually
from tracequeue.keys import events_key
from tracequeue_worker.drain import Drain
from tracequeue_worker.lease import InFlight, Lease
from tracequeue_worker.reader import MOST_ENTRIES, REPLY_BYTES, Reader
from tracequeue_worker.reclaimer import Reclaimer
from tracequeue_worker.records import Entry
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership

CLAIMABLE = 1
"""Milliseconds. With it every pending entry is at once as idle as one of a dead worker."""
NEVER = 3_600_000


class Worker:
    """The parts that read, for one consumer; what it read is in flight until it is killed."""

    def __init__(self, client: Redis, prefix: str, consumer: str, min_idle_ms: int = NEVER) -> None:
        membership = Membership.of(WorkerSettings(prefix=prefix, consumer=consumer))
        self.in_flight = InFlight(membership.streams)
        self.reader = Reader(client, membership, self.in_flight, block_ms=20)
        self.reclaimer = Reclaimer(client, membership, self.in_flight, min_idle_ms=min_idle_ms)
        self.lease = Lease(client, membership, self.in_flight, min_idle_ms=min_idle_ms)

    async def read(self) -> list[Entry]:
        found: list[Entry] = []
        while entries := await self.reader.read(block=False):
            found += entries
        return found

    async def reclaim(self) -> list[Entry]:
        return [entry async for page in self.reclaimer.round() for entry in page]


@pytest.fixture
def key(prefix: str) -> str:
    return events_key(prefix, 0)


async def fill(client: Redis, key: str, count: int, size: int = 10) -> list[bytes]:
    async with client.pipeline(transaction=False) as pipeline:
        for _ in range(count):
            pipeline.xadd(key, {"body": b"x" * size})
        return list(await pipeline.execute())


async def owners(client: Redis, key: str) -> dict[bytes, bytes]:
    page = await client.xpending_range(key, "persist", "-", "+", 10_000)
    return {item["message_id"]: item["consumer"] for item in page}


async def test_a_dead_workers_entries_are_taken_over(redis_client: Redis, prefix: str, key: str) -> None:
    ids = await fill(redis_client, key, 3 * MOST_ENTRIES)
    await Worker(redis_client, prefix, "dead").read()
    heir = Worker(redis_client, prefix, "heir", CLAIMABLE)

    found: set[bytes] = set()

    async def all_found() -> bool:
        found.update(entry.id for entry in await heir.reclaim())
        return found == set(ids)

    await eventually(all_found)
    assert set((await owners(redis_client, key)).values()) == {b"heir"}
    assert len(heir.in_flight) == len(ids)


async def test_a_live_workers_entries_are_left_alone(redis_client: Redis, prefix: str, key: str) -> None:
    await fill(redis_client, key, 5)
    await Worker(redis_client, prefix, "alive").read()
    assert await Worker(redis_client, prefix, "other").reclaim() == []


async def test_a_lost_reply_is_found_again_and_what_is_in_flight_is_not(
    redis_client: Redis, prefix: str, key: str
) -> None:
    worker = Worker(redis_client, prefix, "w1")
    held = await fill(redis_client, key, 3)
    await worker.read()
    lost = await fill(redis_client, key, 250)
    await Worker(redis_client, prefix, "w1").read()  # delivered to the same name, and never heard of again

    assert [entry.id for entry in await worker.reclaim()] == lost
    assert await worker.reclaim() == []
    assert len(worker.in_flight) == len(held) + len(lost)


async def test_large_pending_entries_come_in_small_pages(redis_client: Redis, prefix: str, key: str) -> None:
    await fill(redis_client, key, 30, size=1_000_000)
    await Worker(redis_client, prefix, "w1").read()
    heir = Worker(redis_client, prefix, "w1")
    sizes = [sum(entry.size for entry in page) async for page in heir.reclaimer.round()]
    assert len(heir.in_flight) == 30
    assert max(sizes[1:]) <= REPLY_BYTES


@pytest.mark.parametrize("name", ["dead", "heir"])
async def test_deleted_entries_are_purged_and_counted_past_empty_pages(
    redis_client: Redis, prefix: str, key: str, name: str
) -> None:
    ids = await fill(redis_client, key, 3 * MOST_ENTRIES)
    await Worker(redis_client, prefix, name).read()
    await redis_client.xdel(key, *ids[:-1])
    heir = Worker(redis_client, prefix, "heir", CLAIMABLE)

    found = await eventually(heir.reclaim)

    assert [entry.id for entry in found] == ids[-1:]
    assert heir.reclaimer.vanished == len(ids) - 1
    assert list(await owners(redis_client, key)) == ids[-1:]


async def test_the_lease_keeps_entries_fresh_but_never_steals_back(redis_client: Redis, prefix: str, key: str) -> None:
    ids = await fill(redis_client, key, 3)
    worker = Worker(redis_client, prefix, "slow")
    await worker.read()
    await redis_client.xclaim(key, "persist", "thief", 0, ids[:1])

    async def idle() -> dict[bytes, int]:
        page = await redis_client.xpending_range(key, "persist", "-", "+", 10)
        return {item["message_id"]: item["time_since_delivered"] for item in page}

    async def aged() -> bool:
        return min((await idle()).values()) > 20

    await eventually(aged)
    before = await idle()
    assert await worker.lease.renew() == 2
    after = await idle()

    assert after[ids[0]] >= before[ids[0]]
    assert all(after[entry_id] < before[entry_id] for entry_id in ids[1:])
    assert await owners(redis_client, key) == {ids[0]: b"thief", ids[1]: b"slow", ids[2]: b"slow"}
    deliveries = await redis_client.xpending_range(key, "persist", ids[1], ids[1], 1)
    assert deliveries[0]["times_delivered"] == 1


async def test_the_lease_of_a_vanished_group_is_no_error(redis_client: Redis, prefix: str, key: str) -> None:
    await fill(redis_client, key, 1)
    worker = Worker(redis_client, prefix, "w1")
    await worker.read()
    await redis_client.delete(key)
    assert await worker.lease.renew() == 0


async def test_silent_consumers_go_only_with_nothing_pending(redis_client: Redis, prefix: str, key: str) -> None:
    await fill(redis_client, key, 1)
    keeper = Worker(redis_client, prefix, "keeper", CLAIMABLE)
    await Worker(redis_client, prefix, "busy").read()
    for name in ("empty", "keeper"):
        await redis_client.xgroup_createconsumer(key, "persist", name)
    observer = Worker(redis_client, prefix, "keeper")
    await observer.reclaim()
    assert await consumers(redis_client, key) == {b"busy", b"empty", b"keeper"}

    async def only_keeper() -> bool:
        await keeper.reclaim()
        return await consumers(redis_client, key) == {b"keeper"}

    await eventually(only_keeper)
    assert set((await owners(redis_client, key)).values()) == {b"keeper"}


async def test_leaving_removes_oneself_unless_something_is_pending(redis_client: Redis, prefix: str, key: str) -> None:
    await fill(redis_client, key, 1)
    busy, empty = Worker(redis_client, prefix, "busy"), Worker(redis_client, prefix, "empty")
    await busy.read()
    await redis_client.xgroup_createconsumer(key, "persist", "empty")
    await busy.reclaimer.leave()
    await empty.reclaimer.leave()
    assert await consumers(redis_client, key) == {b"busy"}
    assert len(await owners(redis_client, key)) == 1


async def consumers(client: Redis, key: str) -> set[bytes]:
    return {consumer["name"] for consumer in await client.xinfo_consumers(key, "persist")}


async def test_a_round_without_a_group_finds_nothing(redis_client: Redis, prefix: str) -> None:
    worker = Worker(redis_client, prefix, "w1", CLAIMABLE)
    assert worker.reclaimer.due
    assert await worker.reclaim() == []
    assert await worker.reclaimer.pending() == (0, 0)


async def test_a_drain_waits_for_others_until_they_are_surely_alive(redis_client: Redis, prefix: str, key: str) -> None:
    await fill(redis_client, key, 1)
    other = Worker(redis_client, prefix, "other")
    await other.read()
    mine = Worker(redis_client, prefix, "mine")
    patient = Drain(mine.reclaimer, mine.in_flight, min_idle_ms=NEVER)
    assert not await patient.nothing_left()
    hasty = Drain(mine.reclaimer, mine.in_flight, min_idle_ms=0)
    await eventually(hasty.nothing_left)
    await redis_client.xack(key, "persist", *await owners(redis_client, key))
    assert await patient.nothing_left()
