"""Settling on a real Redis: dead letters, acknowledgement, receipts, in one step and in this order."""

from dataclasses import replace

import pytest
from redis.asyncio import Redis

from tests.fixtures.frames import frame, span
from tracequeue.keys import dead_key, events_key, receipts_key, tally_key
from tracequeue_worker.decoder import Decoder, TimeWindow
from tracequeue_worker.errors import Fatal, Transient
from tracequeue_worker.lease import InFlight
from tracequeue_worker.reader import Reader
from tracequeue_worker.records import Rejection, Stored
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.settle import CHUNK_ENTRIES, LARGEST_RECEIPT, Settlement, Settler
from tracequeue_worker.streams import Membership

SRC = "a" * 32


class Worker:
    """Reads and settles, and stores nothing."""

    def __init__(self, client: Redis, prefix: str, consumer: str = "w1") -> None:
        settings = WorkerSettings(prefix=prefix, consumer=consumer)
        membership = Membership.of(settings)
        self._reader = Reader(client, membership, InFlight(membership.streams))
        self._decoder = Decoder(TimeWindow.of(settings))
        self._settler = Settler(client, membership)

    async def read(self) -> list[Stored]:
        stored: list[Stored] = []
        while entries := await self._reader.read(block=False):
            frames = [self._decoder.decode(entry) for entry in entries]
            stored += [Stored(frame, frame.rejections) for frame in frames]
        return stored

    async def settle(self, stored: list[Stored]) -> list[Settlement]:
        return [await self._settler.settle(chunk) for chunk in self._settler.chunks(stored)]


@pytest.fixture
def worker(redis_client: Redis, prefix: str) -> Worker:
    return Worker(redis_client, prefix)


@pytest.fixture
def key(prefix: str) -> str:
    return events_key(prefix, 0)


async def pending(client: Redis, key: str) -> list[bytes]:
    return [item["message_id"] for item in await client.xpending_range(key, "persist", "-", "+", 1000)]


async def test_dead_letters_acknowledgement_and_receipt(
    worker: Worker, redis_client: Redis, prefix: str, key: str
) -> None:
    entry_id = await redis_client.xadd(key, frame(span(), b"{", b"[]", src=SRC, seq=5))
    (settlement,) = await worker.settle(await worker.read())

    assert len(settlement.settled) == 1
    assert await pending(redis_client, key) == []
    letters = [fields for _, fields in await redis_client.xrange(dead_key(prefix, 0))]
    assert [(letter[b"index"], letter[b"reason"]) for letter in letters] == [(b"1", b"undecodable"), (b"2", b"schema")]
    assert {(letter[b"entry"], letter[b"deliveries"]) for letter in letters} == {(entry_id, b"1")}
    receipts = receipts_key(prefix, 0, SRC)
    assert [await redis_client.getbit(receipts, number) for number in (4, 5, 6)] == [0, 1, 0]
    assert 0 < await redis_client.ttl(receipts) <= 86_400


async def test_settling_twice_and_by_two_workers_writes_one_dead_letter(
    worker: Worker, redis_client: Redis, prefix: str, key: str
) -> None:
    await redis_client.xadd(key, frame(b"{", src=SRC))
    stored = await worker.read()
    await worker.settle(stored)
    for again in (worker, Worker(redis_client, prefix, "w2")):
        (settlement,) = await again.settle(stored)
        assert (len(settlement.settled), len(settlement.gone)) == (0, 1)
    assert await redis_client.xlen(dead_key(prefix, 0)) == 1


async def test_a_dead_key_of_another_type_keeps_the_record_pending_and_settles_the_others(
    worker: Worker, redis_client: Redis, prefix: str, key: str
) -> None:
    await redis_client.set(dead_key(prefix, 0), "in the way")
    await redis_client.xadd(key, frame(span(), src=SRC, seq=1))
    bad = await redis_client.xadd(key, frame(b"{", src=SRC, seq=2))
    await redis_client.xadd(key, frame(span(), src=SRC, seq=3))

    (settlement,) = await worker.settle(stored := await worker.read())

    assert (len(settlement.settled), len(settlement.failed)) == (2, 1)
    assert isinstance(settlement.failure, Fatal)
    assert await pending(redis_client, key) == [bad]
    receipts = receipts_key(prefix, 0, SRC)
    assert [await redis_client.getbit(receipts, number) for number in (1, 2, 3)] == [1, 0, 1]

    await redis_client.delete(dead_key(prefix, 0))
    await worker.settle(stored)
    assert await pending(redis_client, key) == []
    assert await redis_client.xlen(dead_key(prefix, 0)) == 1


async def test_out_of_memory_keeps_the_record_pending(
    worker: Worker, redis_client: Redis, prefix: str, key: str
) -> None:
    bad = await redis_client.xadd(key, frame(b"{", src=SRC))
    stored = await worker.read()
    await redis_client.config_set("maxmemory", "1")
    try:
        (settlement,) = await worker.settle(stored)
    finally:
        await redis_client.config_set("maxmemory", "0")

    assert isinstance(settlement.failure, Transient)
    assert await pending(redis_client, key) == [bad]
    assert not await redis_client.exists(dead_key(prefix, 0))


async def test_more_than_one_chunk(worker: Worker, redis_client: Redis, key: str) -> None:
    async with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(CHUNK_ENTRIES + 1):
            pipeline.xadd(key, frame(src=SRC, seq=number + 1))
        await pipeline.execute()
    settlements = await worker.settle(await worker.read())
    assert [len(settlement.settled) for settlement in settlements] == [CHUNK_ENTRIES, 1]
    assert await pending(redis_client, key) == []


async def test_a_huge_frame_number_gets_no_receipt(worker: Worker, redis_client: Redis, prefix: str, key: str) -> None:
    await redis_client.xadd(key, frame(span(), src=SRC, seq=LARGEST_RECEIPT))
    await redis_client.xadd(key, frame(span(), src=SRC, seq=2**63 - 1))
    (settlement,) = await worker.settle(await worker.read())
    assert len(settlement.settled) == 2
    assert not await redis_client.exists(receipts_key(prefix, 0, SRC))


async def test_the_dead_letters_of_entries_that_were_deleted_are_written_once(
    worker: Worker, redis_client: Redis, prefix: str, key: str
) -> None:
    await redis_client.xadd(key, frame(b"{", span(), b"[]", src=SRC))
    await redis_client.xadd(key, frame(span(), src=SRC, seq=2))
    stored = await worker.read()
    await redis_client.delete(key)
    (settlement,) = await worker.settle(stored)
    assert (len(settlement.settled), len(settlement.gone), settlement.failure) == (1, 1, None)
    assert await redis_client.getbit(receipts_key(prefix, 0, SRC), 1) == 1
    for again in (worker, Worker(redis_client, prefix, "w2")):
        (settlement,) = await again.settle(stored)
        assert (len(settlement.gone), settlement.failure) == (2, None)
    assert await redis_client.xlen(dead_key(prefix, 0)) == 2


async def test_a_destroyed_group_brings_the_entries_again_and_their_dead_letters_once(
    worker: Worker, redis_client: Redis, prefix: str, key: str
) -> None:
    await redis_client.xadd(key, frame(b"{", src=SRC))
    (first,) = await worker.read()
    await redis_client.xgroup_destroy(key, "persist")
    (settlement,) = await worker.settle([first])
    assert (len(settlement.gone), settlement.failure) == (1, None)
    assert not await redis_client.exists(dead_key(prefix, 0))

    for _ in range(3):
        (again,) = await worker.read()
        (settlement,) = await worker.settle([replace(again, known=True, earlier=first.frame.entry.id)])
        assert len(settlement.settled) == 1
        await redis_client.xgroup_destroy(key, "persist")
    assert await redis_client.xlen(dead_key(prefix, 0)) == 1


async def test_a_trimmed_entry_that_another_worker_settled_leaves_no_second_dead_letter(
    worker: Worker, redis_client: Redis, prefix: str, key: str
) -> None:
    async with redis_client.pipeline(transaction=False) as pipeline:
        for number in range(60):
            pipeline.xadd(key, frame(b"{", src=SRC, seq=number + 1))
        await pipeline.execute()
    stored = await worker.read()
    await worker.settle(stored)
    await redis_client.xtrim(key, maxlen=0, approximate=False)
    await Worker(redis_client, prefix, "w2").settle(stored)
    assert await redis_client.xlen(dead_key(prefix, 0)) == 60


async def test_a_frame_that_was_sent_twice_leaves_one_dead_letter(
    worker: Worker, redis_client: Redis, prefix: str, key: str
) -> None:
    fields = frame(b"{", src=SRC)
    await redis_client.xadd(key, fields)
    (first,) = await worker.read()
    await redis_client.xadd(key, fields)
    (second,) = await worker.read()
    for stored in (first, replace(second, known=True, earlier=first.frame.entry.id)):
        (settlement,) = await worker.settle([stored])
        assert len(settlement.settled) == 1
    assert await redis_client.xlen(dead_key(prefix, 0)) == 1


async def test_of_the_letters_of_an_entry_all_are_written_or_none(
    worker: Worker, redis_client: Redis, prefix: str, key: str
) -> None:
    """The second letter's id would be smaller than the last possible one: the stream refuses it."""
    dead = dead_key(prefix, 0)
    bad = await redis_client.xadd(key, frame(b"{", b"[]", src=SRC))
    stored = await worker.read()
    await redis_client.xadd(dead, {"last": "but one"}, id=f"{2**64 - 1}-{2**64 - 2}")
    (settlement,) = await worker.settle(stored)
    assert (len(settlement.failed), await pending(redis_client, key)) == (1, [bad])
    assert await redis_client.xlen(dead) == 1
    await redis_client.delete(dead)
    await worker.settle(stored)
    assert await redis_client.xlen(dead) == 2


async def test_the_script_survives_a_flush_of_scripts(worker: Worker, redis_client: Redis, key: str) -> None:
    for number in (1, 2):
        await redis_client.xadd(key, frame(span(), src=SRC, seq=number))
        (settlement,) = await worker.settle(await worker.read())
        assert len(settlement.settled) == 1
        await redis_client.script_flush()


async def test_the_tally_knows_how_many_entries_brought_a_frame_once_more(
    worker: Worker, redis_client: Redis, prefix: str, key: str
) -> None:
    for _ in range(4):
        await redis_client.xadd(key, frame(span(), src=SRC, seq=7))
    new, delivered_twice, sent_twice, conflicting = await worker.read()
    delivered_twice = replace(delivered_twice, earlier=delivered_twice.frame.entry.id)
    sent_twice = replace(sent_twice, earlier=new.frame.entry.id)
    conflicting.rejections.append(Rejection(None, "seq_conflict", "another frame has its number"))
    await worker.settle([new, delivered_twice, sent_twice, conflicting])
    await redis_client.xadd(key, frame(span(), src=SRC, seq=7, retry="[0]"))
    await worker.settle(await worker.read())
    tally = tally_key(prefix, 0)
    assert await redis_client.hmget(tally, "settled:persist", "repeated:persist") == [b"5", b"3"]
