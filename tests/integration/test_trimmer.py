"""Trimming on a real Redis: what every group has settled goes, and nothing else ever does."""

import pytest
from redis.asyncio import Redis

from tests.fixtures.stream import Stream
from tracequeue_worker.trimmer import PAGE


async def test_what_is_settled_goes_and_what_is_pending_or_unread_stays(stream: Stream) -> None:
    worker = stream.worker()
    await stream.add(250)
    first = await worker.read()
    second = await worker.read()
    await worker.settle(first)
    await worker.trimmer.trim()
    assert worker.report.trimmed == len(first)
    assert (await stream.ids())[0] == second[0].id

    await worker.settle(second[1:])
    await worker.trimmer.trim()
    unread = (await worker.backlog()).unread
    assert (await stream.ids())[:-unread] == [second[0].id], "one pending entry does not keep what comes after it"

    await worker.settle(second[:1])
    await worker.work()
    await worker.trimmer.trim()
    assert await stream.ids() == []
    assert worker.report.trimmed == 250


async def test_a_group_without_anything_pending_keeps_what_it_has_not_read(stream: Stream) -> None:
    worker = stream.worker()
    await stream.add(5)
    await worker.work()
    unread = await stream.add(3)
    await worker.trimmer.trim()
    assert await stream.ids() == unread


async def test_settled_frames_behind_pending_ones(stream: Stream) -> None:
    """Over several pages, with two groups, and beside entries that others deleted."""
    ours, theirs = stream.worker(), stream.worker(group="analytics")
    await stream.add(10 * PAGE)
    read, theirs_read = await ours.read_all(), await theirs.read_all()
    kept = {entry.id for entry in (*read[:: PAGE - 1], *theirs_read[:: PAGE + 3])}
    await ours.settle([entry for entry in read if entry.id not in kept])
    await theirs.settle([entry for entry in theirs_read if entry.id not in kept])
    unread = await stream.add(3)
    await ours.trimmer.trim()
    assert await stream.ids() == [*sorted(kept, key=_pair), *unread]
    assert await ours.look() == await theirs.look() == 0

    await ours.settle([entry for entry in read if entry.id in kept])
    await theirs.settle([entry for entry in theirs_read if entry.id in kept])
    await ours.trimmer.trim()
    assert await stream.ids() == unread


def _pair(entry_id: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in entry_id.split(b"-"))


async def test_settled_frames_behind_a_pending_one_have_their_time_too(stream: Stream, redis_client: Redis) -> None:
    worker = stream.worker(keep_seconds=3_600)
    seconds, _ = await redis_client.time()
    ages = (7_200, 7_100, 7_000, 100, 90)
    ids = [await redis_client.xadd(stream.key, {"body": b""}, id=f"{(seconds - age) * 1000}-0") for age in ages]
    read = await worker.read_all()
    await worker.settle(read[1:])
    await worker.trimmer.trim()
    assert await stream.ids() == [ids[0], *ids[3:]]


async def test_history_is_kept_for_its_time(stream: Stream, redis_client: Redis) -> None:
    worker = stream.worker(keep_seconds=3_600)
    seconds, _ = await redis_client.time()
    old = await redis_client.xadd(stream.key, {"body": b""}, id=f"{(seconds - 3_700) * 1000}-0")
    young = await redis_client.xadd(stream.key, {"body": b""}, id=f"{(seconds - 3_500) * 1000}-0")
    await worker.work()
    await worker.trimmer.trim()
    assert await stream.ids() == [young]
    assert old < young


async def test_every_group_counts(stream: Stream) -> None:
    ours, theirs = stream.worker(), stream.worker(group="analytics")
    await stream.add(10)
    page = await theirs.read()
    await ours.work()
    await ours.trimmer.trim()
    assert len(await stream.ids()) == 10

    await theirs.settle(page[:4])
    await ours.trimmer.trim()
    assert await stream.ids() == [entry.id for entry in page[4:]]
    assert await ours.look() == await theirs.look() == 0


async def test_nothing_goes_before_our_own_group_is_there(stream: Stream) -> None:
    """It is about to be created at the beginning, after somebody destroyed it: all of the stream is unread for it."""
    ours, theirs = stream.worker(), stream.worker(group="analytics")
    await stream.add(10)
    await theirs.work()
    await ours.trimmer.trim()
    assert len(await stream.ids()) == 10


async def test_a_forgotten_group_is_told_with_the_cure(
    stream: Stream, redis_client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    worker = stream.worker(keep_seconds=60)
    seconds, _ = await redis_client.time()
    await redis_client.xadd(stream.key, {"body": b""}, id=f"{(seconds - 7_200) * 1000}-0")
    await redis_client.xgroup_create(stream.key, "forgotten", id="0")
    await worker.work()
    await worker.trimmer.trim()
    await worker.trimmer.trim()

    (holder,) = worker.trimmer.holders
    assert (holder.group, round(holder.seconds / 60)) == ("forgotten", 120)
    (said,) = caplog.messages
    assert f"XGROUP DESTROY {stream.key} forgotten" in said
    assert worker.report.trimmed == 0

    await redis_client.xgroup_destroy(stream.key, "forgotten")
    await worker.trimmer.trim()
    assert worker.trimmer.holders == []
    assert worker.report.trimmed == 1


async def test_a_group_that_is_only_a_little_behind_is_no_trouble(stream: Stream, redis_client: Redis) -> None:
    worker = stream.worker()
    await stream.add(5)
    await redis_client.xgroup_create(stream.key, "live", id="0")
    await worker.work()
    await worker.trimmer.trim()
    assert worker.trimmer.holders == []
    assert len(await stream.ids()) == 5


async def test_two_trimmers_at_once(stream: Stream) -> None:
    one, other = stream.worker("one"), stream.worker("other")
    await stream.add(120)
    await one.work()
    await one.trimmer.trim()
    await other.trimmer.trim()
    assert one.report.trimmed + other.report.trimmed == 120
    assert await one.look() == await other.look() == 0


async def test_a_history_larger_than_one_call(stream: Stream, redis_client: Redis) -> None:
    worker = stream.worker()
    await redis_client.eval(
        "for number = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'body', '') end", 1, stream.key, 25_000
    )
    await redis_client.xgroup_create(stream.key, "persist", id="$")
    await worker.trimmer.trim()
    assert await stream.ids() == []


@pytest.mark.parametrize("last", ["5-9007199254740993", "18446744073709551614-18446744073709551615", "9-9", "10-0"])
async def test_ids_of_any_size(stream: Stream, redis_client: Redis, last: str) -> None:
    worker = stream.worker()
    for entry_id in ("3-1", last):
        await redis_client.xadd(stream.key, {"body": b""}, id=entry_id)
    await worker.work()
    after = await redis_client.xadd(stream.key, {"body": b""}, id="18446744073709551615-1")
    await worker.trimmer.trim()
    left = await stream.ids()
    assert left[-1] == after
    assert b"3-1" not in left
