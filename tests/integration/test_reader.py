"""Reading on a real Redis: the group may vanish at any time, and replies stay near their bound."""

import asyncio

import pytest
from redis.asyncio import Redis

from tests.fixtures.polling import eventually
from tracequeue.keys import events_key
from tracequeue_worker.errors import Fatal, Transient
from tracequeue_worker.lease import InFlight
from tracequeue_worker.reader import MOST_ENTRIES, REPLY_BYTES, PageSize, Reader, entries_of
from tracequeue_worker.records import Entry
from tracequeue_worker.redis_client import reading_client
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership

MEGABYTE = 1_000_000


@pytest.fixture
def membership(prefix: str) -> Membership:
    return Membership.of(WorkerSettings(prefix=prefix, consumer="w1", partitions=2))


@pytest.fixture
def in_flight(membership: Membership) -> InFlight:
    return InFlight(membership.streams)


@pytest.fixture
def reader(redis_client: Redis, membership: Membership, in_flight: InFlight) -> Reader:
    return Reader(redis_client, membership, in_flight, block_ms=20)


async def test_what_was_there_before_the_group_is_read(
    reader: Reader, redis_client: Redis, prefix: str, in_flight: InFlight
) -> None:
    keys = [events_key(prefix, partition) for partition in (0, 1)]
    ids = [await redis_client.xadd(key, {"body": "\xff", b"\xff": b"\xfe"}) for key in keys]
    entries = await reader.read()
    assert [(entry.stream.decode(), entry.partition, entry.id) for entry in entries] == [
        (keys[0], 0, ids[0]),
        (keys[1], 1, ids[1]),
    ]
    assert entries[0].fields[b"\xff"] == b"\xfe"
    assert len(in_flight) == 2
    assert await reader.read() == []


@pytest.mark.parametrize("how", ["stream", "group", "flush"])
@pytest.mark.parametrize("blocked", [True, False])
async def test_a_group_that_vanishes_is_made_again_at_the_beginning(
    membership: Membership, redis_url: str, redis_client: Redis, prefix: str, how: str, blocked: bool
) -> None:
    key = events_key(prefix, 0)
    async with reading_client(redis_url, 200) as client:
        reader = Reader(client, membership, InFlight(membership.streams), block_ms=200)
        await reader.read(block=False)
        reading = asyncio.create_task(reader.read()) if blocked else None
        if reading:
            await eventually(lambda: is_blocked(redis_client))
        if how == "group":
            await redis_client.xgroup_destroy(key, "persist")
        else:
            await (redis_client.delete(key) if how == "stream" else redis_client.flushall())
        entry_id = await redis_client.xadd(key, {"body": ""})
        found = await reading if reading else []
        found += await eventually(reader.read) if not found else []
        assert [entry.id for entry in found] == [entry_id]


async def is_blocked(client: Redis) -> bool:
    return bool((await client.info("clients"))["blocked_clients"])


async def test_large_entries_come_in_small_replies(
    reader: Reader, redis_client: Redis, prefix: str, in_flight: InFlight
) -> None:
    for _ in range(60):
        await redis_client.xadd(events_key(prefix, 0), {"body": b"x" * MEGABYTE})
    sizes = []
    while entries := await reader.read():
        sizes.append(sum(entry.size for entry in entries))
    assert len(in_flight) == 60
    assert sizes[0] <= 10 * MEGABYTE
    assert max(sizes[1:]) <= REPLY_BYTES


def test_the_page_shrinks_at_once_and_grows_slowly() -> None:
    page = PageSize()
    assert page.entries == 10
    small, large = ([Entry(b"s", 0, b"1-1", {b"body": b"x" * size})] for size in (100, MEGABYTE))
    for _ in range(100):
        page.learn(small)
    assert page.entries == MOST_ENTRIES
    page.learn(large)
    assert page.entries == REPLY_BYTES // (MEGABYTE + 4)
    page.learn(small)
    assert page.entries == 5


def test_all_shapes_of_replies(membership: Membership) -> None:
    stream = membership.streams[1]
    page = [(b"1-1", {b"a": b"b"}), (b"1-2", {b"a": b"c"})]
    expected = [Entry(stream, 1, b"1-1", {b"a": b"b"}), Entry(stream, 1, b"1-2", {b"a": b"c"})]
    for reply in ([[stream, page]], {stream: page}, {stream: [page]}):
        assert entries_of(reply, membership) == expected
    for empty in (None, [], {}):
        assert entries_of(empty, membership) == []


async def test_a_wrong_type_is_fatal(reader: Reader, redis_client: Redis, prefix: str) -> None:
    await redis_client.set(events_key(prefix, 0), "x")
    with pytest.raises(Fatal, match="WRONGTYPE"):
        await reader.read()


async def test_an_absent_server_is_transient(membership: Membership, in_flight: InFlight) -> None:
    async with reading_client("redis://127.0.0.1:1/0", 10) as client:
        with pytest.raises(Transient):
            await Reader(client, membership, in_flight).read()


async def test_two_hundred_cancelled_reads_lose_nothing_that_a_sweep_does_not_find(
    membership: Membership, redis_url: str, redis_client: Redis, prefix: str
) -> None:
    async with reading_client(redis_url, 20) as client:
        reader = Reader(client, membership, InFlight(membership.streams), block_ms=20)
        await reader.create_groups()
        for number in range(200):
            reading = asyncio.create_task(reader.read())
            for _ in range(number % 20):
                await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        entry_id = await redis_client.xadd(events_key(prefix, 0), {"body": ""})
        found = [entry.id for entry in await reader.read(block=False)]
        pending = await redis_client.xpending_range(events_key(prefix, 0), "persist", "-", "+", 10)
        assert [entry_id] in (found, [item["message_id"] for item in pending])
