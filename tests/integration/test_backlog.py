"""The backlog figure on a real Redis: right where the server's own `lag` is null or wrong."""

import asyncio

import pytest
from redis.asyncio import Redis

from tests.fixtures.stream import Stream
from tracequeue_worker import backlog
from tracequeue_worker.records import Entry


async def test_without_a_group_all_is_unread(stream: Stream) -> None:
    await stream.add(7)
    assert (await stream.worker().backlog()).unread == 7


async def test_without_a_stream_nothing_is(stream: Stream) -> None:
    assert (await stream.worker().backlog()).empty


@pytest.mark.parametrize("looked", [False, True])
async def test_read_pending_and_unread(stream: Stream, looked: bool) -> None:
    worker = stream.worker()
    if looked:
        await worker.look()
    await stream.add(200)
    page = await worker.read()
    figure = await worker.backlog()
    assert (figure.unread, figure.pending) == (200 - len(page), len(page))
    assert figure.oldest_seconds is not None
    await worker.settle(page)
    await worker.work()
    assert (await worker.backlog()).empty


async def test_what_is_just_being_read_is_never_nowhere(stream: Stream, redis_client: Redis) -> None:
    """An entry that is read between two commands of somebody who looks is unread or pending, not neither."""
    worker = stream.worker()
    await worker.read()

    async def read_after(commands: int) -> list[Entry]:
        for _ in range(commands):
            await redis_client.ping()
        return await worker.read()

    for turn in range(100):
        await stream.add(1)
        page, *figures = await asyncio.gather(read_after(turn % 8), *(worker.backlog() for _ in range(3)))
        assert not any(figure.empty for figure in figures)
        await worker.settle(page)
        assert (await worker.backlog()).empty


async def test_nobody_looked_and_an_unread_entry_is_deleted(
    stream: Stream, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lag` is null then, and no worker is there to reckon: it is counted, in pieces."""
    monkeypatch.setattr(backlog, "COUNTED_AT_ONCE", 50)
    worker = stream.worker()
    ids = await stream.add(200)
    page = await worker.read()
    await redis_client.xdel(stream.key, ids[150])
    (group,) = await redis_client.xinfo_groups(stream.key)
    assert group["lag"] is None
    assert (await worker.backlog()).unread == 199 - len(page)


async def test_lag_is_wrong_after_a_trim(stream: Stream, redis_client: Redis) -> None:
    """On Redis 7.0 the group reads on as if the entries between were still there; it never comes to 0."""
    worker = stream.worker()
    await worker.look()
    await stream.add(100)
    await worker.settle(await worker.read())
    await redis_client.xtrim(stream.key, maxlen=40, approximate=False)
    page = await worker.read()
    assert (await worker.backlog()).unread == 40 - len(page)
    await worker.settle(page)
    await worker.work()
    assert (await worker.backlog()).empty
