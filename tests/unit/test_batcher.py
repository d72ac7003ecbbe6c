"""When batches close, and who waits meanwhile."""

import asyncio

from tests.fixtures.decoded import decoded, span_row
from tests.fixtures.polling import eventually
from tracequeue.linger import CREDIT, SHORTEST_SECONDS
from tracequeue_worker.batcher import Batcher
from tracequeue_worker.records import DAY, MOST_DAYS, DecodedFrame, Rejection

LONG = 3_600_000


def frame(rows: int = 1, size: int = 1) -> DecodedFrame:
    return decoded(*(span_row() for _ in range(rows)), size=size)


async def quickly(batcher: Batcher) -> list[DecodedFrame]:
    taking = asyncio.create_task(batcher.take())
    await eventually(taking.done)
    return taking.result()


async def patient(*, rows: int, size: int) -> Batcher:
    """One that has taken so many batches of late that it waits for an hour."""
    batcher = Batcher(rows=rows, size=size, linger_ms=LONG)
    for _ in range(CREDIT):
        await batcher.add(frame())
        await quickly(batcher)
    return batcher


async def test_after_a_pause_a_batch_does_not_wait_until_it_is_full() -> None:
    batcher = Batcher(rows=3, size=1000, linger_ms=LONG)
    for _ in range(CREDIT):
        await batcher.add(frame())
        assert len(await quickly(batcher)) == 1
    await batcher.add(frame())
    waiting = asyncio.create_task(batcher.take())
    await asyncio.sleep(10 * SHORTEST_SECONDS)  # nothing shows that it waits but that time goes by
    assert not waiting.done()
    await batcher.add(frame(2))
    assert len(await waiting) == 2


async def test_closes_by_rows() -> None:
    batcher = await patient(rows=3, size=1000)
    frames = [frame(), frame(2)]
    for one in frames:
        await batcher.add(one)
    assert await batcher.take() == frames


async def test_closes_by_bytes() -> None:
    batcher = await patient(rows=1000, size=10)
    await batcher.add(frame(size=10))
    assert len(await batcher.take()) == 1


async def test_closes_by_age() -> None:
    batcher = Batcher(rows=1000, size=1000, linger_ms=1)
    await batcher.add(frame())
    assert len(await batcher.take()) == 1


async def test_closes_when_the_next_frame_does_not_fit_and_that_one_waits() -> None:
    batcher = await patient(rows=10, size=1000)
    await batcher.add(frame(rows=6))
    second = asyncio.create_task(batcher.add(frame(rows=7)))
    assert [one.rows for one in await batcher.take()] == [6]
    await second
    await batcher.close()
    assert [one.rows for one in await batcher.take()] == [7]
    assert await batcher.take() == []


async def test_a_frame_larger_than_a_batch_goes_alone() -> None:
    batcher = await patient(rows=2, size=10)
    await batcher.add(frame(rows=5, size=50))
    assert [one.rows for one in await batcher.take()] == [5]


async def test_frames_of_no_rows_count_too() -> None:
    batcher = await patient(rows=2, size=1000)
    await batcher.add(frame(rows=0))
    await batcher.add(frame(rows=0))
    assert len(await batcher.take()) == 2


async def test_refused_events_count_too() -> None:
    batcher = await patient(rows=6, size=1000)
    refused = [Rejection(line, "schema", "x") for line in range(3)]
    await batcher.add(decoded(events=3, rejections=refused))
    await batcher.add(decoded(span_row(), events=3, rejections=refused[1:]))
    assert len(await batcher.take()) == 2


async def test_closes_before_too_many_days() -> None:
    batcher = await patient(rows=10_000, size=1_000_000)
    year, two_days = ([span_row(start_time=day * DAY) for day in days] for days in (range(MOST_DAYS), (5, MOST_DAYS)))
    await batcher.add(decoded(*year))
    second = asyncio.create_task(batcher.add(decoded(*two_days)))
    assert [one.rows for one in await batcher.take()] == [MOST_DAYS]
    await second
    await batcher.close()
    assert [one.rows for one in await batcher.take()] == [2]


async def test_it_holds_one_batch_and_no_more() -> None:
    batcher = await patient(rows=2, size=1000)
    added: list[int] = []

    async def fill() -> None:
        for number in range(6):
            await batcher.add(frame())
            added.append(number)

    task = asyncio.create_task(fill())
    await eventually(lambda: len(added) == 2)
    for taken in (2, 4, 6):
        assert len(added) <= taken
        assert len(await batcher.take()) == 2
    await task


async def test_closing_ends_the_wait_for_more() -> None:
    batcher = await patient(rows=10, size=1000)
    await batcher.add(frame())
    waiting = asyncio.create_task(batcher.take())
    await batcher.close()
    assert len(await waiting) == 1
    assert await batcher.take() == []
