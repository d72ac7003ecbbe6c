"""Fault 8: the keys, the stream or the group vanish, while the worker's read blocks and while nobody reads."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue.keys import events_key


async def flush(site: Site) -> None:
    await site.redis.flushall()


async def delete_the_stream(site: Site) -> None:
    await site.redis.delete(events_key(site.prefix, 0))


async def destroy_the_group(site: Site) -> None:
    await site.redis.xgroup_destroy(events_key(site.prefix, 0), "persist")


Vanish = Callable[[Site], Awaitable[None]]
VANISH = [flush, delete_the_stream, destroy_the_group]


async def reads_block(client: Redis) -> bool:
    clients: Any = await client.client_list()
    return any(one["cmd"] == "xreadgroup" and "b" in one["flags"] for one in clients)


@pytest.mark.parametrize("vanish", VANISH)
async def test_while_a_read_blocks(own_site: Site, vanish: Vanish) -> None:
    bot = own_site.bot()
    async with own_site.working() as report:
        bot.burst(10)
        await bot.collector.flush()
        await eventually(lambda: report.frames)
        await eventually(own_site.settled)
        await eventually(lambda: reads_block(own_site.redis))
        await vanish(own_site)
        bot.burst(10)
        await bot.stop()
        await eventually(lambda: report.events == bot.journal.events)
    await own_site.assert_account_closes(bot)


@pytest.mark.parametrize("vanish", VANISH)
async def test_while_nobody_reads(own_site: Site, vanish: Vanish) -> None:
    bot = own_site.bot()
    async with own_site.working():
        bot.burst(10)
        await bot.collector.flush()
        await eventually(own_site.settled)
    await vanish(own_site)
    bot.burst(10)
    await bot.stop()
    await own_site.drain()
    await own_site.assert_account_closes(bot)


async def test_the_group_vanishes_with_entries_pending_and_unread(own_site: Site) -> None:
    """All that is still in the stream comes again, to a new group that begins at the beginning."""
    bot = own_site.bot()
    bot.burst(10)
    await bot.collector.flush()
    key = events_key(own_site.prefix, 0)
    await own_site.redis.xgroup_create(key, "persist", id="0")
    assert await own_site.redis.xreadgroup("persist", "dead", {key: ">"}, count=1)
    await own_site.redis.xgroup_destroy(key, "persist")
    bot.burst(10)
    await bot.stop()
    await own_site.drain()
    await own_site.assert_account_closes(bot)


async def test_unread_frames_that_are_flushed_are_missing_by_their_numbers(own_site: Site) -> None:
    """Nobody can bring them back; the numbers of the frames around them say exactly which they were."""
    bot = own_site.bot(linger_ms=0)
    for _ in range(3):
        bot.trace()
        await bot.collector.flush()
    await own_site.drain()
    for _ in range(4):
        bot.trace()
        await bot.collector.flush()
    lost = [int(fields[b"seq"]) for _, fields in await own_site.redis.xrange(events_key(own_site.prefix, 0))]
    await own_site.redis.flushall()
    bot.trace()
    await bot.stop()
    await own_site.drain()
    stored = {row["seq"] for row in await own_site.fetch("SELECT seq FROM pipeline_frames")}
    assert set(range(1, max(stored) + 1)) - stored == {seq for seq in lost if seq not in stored}
    assert lost
