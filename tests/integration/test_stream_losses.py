"""Losses that happen outside, on a real Redis: each is counted once and exactly, whatever happens beside it."""

import random

import pytest
from redis.asyncio import Redis

from tests.fixtures.stream import Stream
from tracequeue_worker import stream_losses

STEPS = 120


async def test_nothing_is_lost_where_nothing_was_taken(stream: Stream) -> None:
    worker = stream.worker()
    assert await worker.look() == 0
    for _ in range(3):
        await stream.add(150)
        assert await worker.look() == 0
        page = await worker.read()
        assert await worker.look() == 0
        await worker.settle(page)
        await worker.trimmer.trim()
        assert await worker.look() == 0
    await worker.work()
    await worker.trimmer.trim()
    assert await worker.look() == 0


@pytest.mark.parametrize("before", [0, 40, 100])
async def test_a_foreign_maxlen(stream: Stream, before: int) -> None:
    """With nothing, something and all of what was there read before; and the reader goes on before the next look."""
    worker = stream.worker()
    await worker.look()
    await stream.add(before)
    await worker.work()
    await stream.add(100)
    await worker.look()
    await stream.add(1, maxlen=30)
    await worker.work()
    await stream.add(5)
    await worker.work()
    assert await worker.look() == 71
    assert await worker.look() == 71


async def test_a_stream_that_was_trimmed_before_any_worker_came(stream: Stream) -> None:
    await stream.add(100)
    await stream.add(1, maxlen=10)
    assert await stream.worker().look() == 91


async def test_a_group_that_comes_later_did_not_lose_what_was_trimmed(stream: Stream) -> None:
    worker = stream.worker()
    await worker.look()
    await stream.add(100)
    await worker.work()
    await worker.trimmer.trim()
    later = stream.worker(group="analytics")
    await stream.add(10)
    assert await later.look() == 0
    await later.work()
    assert await later.look() == 0


async def test_an_unread_entry_deleted_in_the_middle(stream: Stream, redis_client: Redis) -> None:
    worker = stream.worker()
    await worker.look()
    await stream.add(10)
    await worker.settle(await worker.read())
    ids = await stream.add(200)
    await worker.look()
    read = await worker.read()
    await redis_client.xdel(stream.key, ids[150], ids[160])
    assert await worker.look() == 2
    assert (await worker.backlog()).unread == 198 - len(read)


async def test_settled_history_deleted_by_others_is_no_loss(stream: Stream, redis_client: Redis) -> None:
    worker = stream.worker(keep_seconds=3_600)
    await worker.look()
    ids = await stream.add(50)
    await worker.work()
    await worker.look()
    await stream.add(50)
    await redis_client.xtrim(stream.key, minid=ids[20], approximate=False)
    await redis_client.xdel(stream.key, ids[30])
    assert await worker.look() == 0
    await worker.work()
    assert await worker.look() == 0


async def test_acknowledged_by_somebody_else(stream: Stream, redis_client: Redis) -> None:
    worker = stream.worker()
    await worker.look()
    await stream.add(10)
    page = await worker.read()
    await redis_client.xack(stream.key, "persist", *[entry.id for entry in page[:3]])
    assert await worker.look() == 3


async def test_two_workers_count_a_loss_once(stream: Stream) -> None:
    workers = [stream.worker(name) for name in ("one", "two")]
    for worker in workers:
        await worker.look()
    await stream.add(100)
    await stream.add(1, maxlen=1)
    assert sorted([await worker.look() for worker in workers]) == [0, 100]


async def test_pending_entries_that_were_deleted_are_counted_by_who_finds_them(
    stream: Stream, redis_client: Redis
) -> None:
    worker = stream.worker("dead")
    await worker.look()
    ids = await stream.add(20)
    await worker.read_all()
    await redis_client.xtrim(stream.key, maxlen=5, approximate=False)
    heir = stream.worker("heir")
    assert await worker.look() == 0, "who has them in hand may still store them"
    assert [entry.id async for page in heir.reclaimer.round() for entry in page] == ids[15:]
    assert await heir.look() == 15
    assert await worker.look() == 0


@pytest.mark.parametrize("how", ["delete", "flushdb"])
async def test_a_stream_that_vanished(stream: Stream, redis_client: Redis, how: str) -> None:
    """What was unread at the last look is known to be gone, less what this worker took since."""
    workers = [stream.worker(name) for name in ("one", "two")]
    await stream.add(150)
    for worker in workers:
        await worker.look()
    read = await workers[0].read()
    gone = 150 - len(read)
    await (redis_client.delete(stream.key) if how == "delete" else _delete_all(stream, redis_client))
    await stream.add(7)
    assert await workers[0].look() == gone
    assert await workers[1].look() == 0

    await workers[1].work()
    for worker in workers:
        await worker.look()
    assert [worker.report.lost_entries for worker in workers] == [gone, 0]
    await stream.add(10)
    await stream.add(1, maxlen=1)
    assert await workers[1].look() == 10


async def _delete_all(stream: Stream, redis_client: Redis) -> None:
    """What FLUSHALL does to us, on a server that others use too."""
    await redis_client.delete(stream.key, stream.dead, stream.tally)


async def test_redis_went_back(stream: Stream, redis_client: Redis) -> None:
    """A replica that was behind became the primary: both the stream and what is remembered of it are older."""
    workers = [stream.worker(name) for name in ("one", "two")]
    await stream.add(30)
    await workers[0].look()
    copies = {key: await redis_client.dump(key) for key in (stream.key, stream.tally)}
    await stream.add(12)
    for worker in workers:
        await worker.look()
    for key, copy in copies.items():
        await redis_client.restore(key, 0, copy, replace=True)
    assert [await worker.look() for worker in workers] == [12, 0]
    await workers[0].work()
    assert [await worker.look() for worker in workers] == [12, 0]


async def test_a_group_that_was_destroyed_loses_nothing(stream: Stream, redis_client: Redis) -> None:
    worker = stream.worker(keep_seconds=3_600)
    await worker.look()
    await stream.add(150)
    await worker.settle(await worker.read())
    await worker.look()
    await redis_client.xgroup_destroy(stream.key, "persist")
    await worker.settle(await worker.read())
    assert await worker.look() == 0
    await worker.work()
    assert await worker.look() == 0
    await stream.add(100)
    await stream.add(1, maxlen=50)
    assert await worker.look() == 51


async def test_too_much_to_count_now_is_counted_later(
    stream: Stream, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_losses, "COUNTED_AT_MOST", 20)
    worker = stream.worker(keep_seconds=3_600)
    await worker.look()
    await stream.add(100)
    await worker.work()
    ids = await stream.add(300)
    await redis_client.xdel(stream.key, ids[250])
    for _ in range(2):
        assert await worker.look() == 0
        await worker.settle(await worker.read())
    await worker.work()
    assert await worker.look() == 1


async def test_memory_being_full_blinds_nobody(stream: Stream, redis_client: Redis) -> None:
    worker = stream.worker()
    await worker.look()
    await stream.add(100)
    await stream.add(1, maxlen=1)
    await redis_client.config_set("maxmemory", 1)
    try:
        assert await worker.look() == 100
        await worker.work()
        await worker.trimmer.trim()
        assert await worker.look() == 100
    finally:
        await redis_client.config_set("maxmemory", 0)
    assert await stream.ids() == []


async def test_a_worker_that_came_from_a_version_without_a_tally(stream: Stream, redis_client: Redis) -> None:
    worker = stream.worker(keep_seconds=3_600)
    await stream.add(100)
    await worker.work()
    await stream.add(20)
    await redis_client.delete(stream.tally)
    updated = stream.worker(keep_seconds=3_600)
    assert await updated.look() == 0
    await updated.work()
    assert await updated.look() == 0
    await stream.add(1, maxlen=1)
    await stream.add(3)
    await stream.add(1, maxlen=1)
    assert await updated.look() == 4


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_of_events(stream: Stream, redis_client: Redis, seed: int) -> None:
    """Against a plain model: a frame is lost where somebody deleted it before anybody read it."""
    chance = random.Random(seed)
    worker = stream.worker()
    await worker.look()
    unread: set[bytes] = set()
    in_flight = []
    lost = 0

    async def keep(there: list[bytes]) -> None:
        nonlocal lost
        lost += len(unread - set(there))
        unread.intersection_update(there)

    for _ in range(STEPS):
        match chance.randrange(8):
            case 0 | 1:
                unread.update(await stream.add(chance.randrange(1, 130)))
            case 2:
                page = await worker.read()
                unread.difference_update(entry.id for entry in page)
                in_flight += page
            case 3 if in_flight:
                count = chance.randrange(1, len(in_flight) + 1)
                await worker.settle(in_flight[:count])
                del in_flight[:count]
            case 4:
                await worker.trimmer.trim()
                assert unread <= set(await stream.ids()), "an unread frame was trimmed"
                assert {entry.id for entry in in_flight} - set(await stream.ids()) <= set(), (
                    "a pending frame was trimmed"
                )
            case 5 if unread:
                await redis_client.xdel(stream.key, *chance.sample(sorted(unread), min(3, len(unread))))
                await keep(await stream.ids())
            case 6 if not in_flight and chance.random() < 0.3:
                await redis_client.xtrim(stream.key, maxlen=chance.randrange(0, 150), approximate=False)
                await keep(await stream.ids())
            case 7:
                assert await worker.look() == lost
                assert (await worker.backlog()).unread == len(unread)
    assert await worker.look() == lost
    assert (await worker.backlog()).unread == len(unread)
    assert lost
