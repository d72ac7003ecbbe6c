"""Fault 38: four workers write batches that overlap, in opposite order. No row is lost, and none waits in a circle."""

from contextlib import AsyncExitStack

from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue.keys import events_key

TIMES = 6


async def test_four_workers_and_every_frame_many_times_in_both_orders(site: Site) -> None:
    bot = site.bot()
    for _ in range(20):
        bot.burst(5)
        await bot.collector.flush(30)
    await bot.stop()
    key = events_key(site.prefix, 0)
    frames = [fields for _, fields in await site.redis.xrange(key)]
    for _ in range(TIMES):
        frames.reverse()
        for fields in frames:
            await site.redis.xadd(key, fields)
    async with AsyncExitStack() as stack:
        reports = [await stack.enter_async_context(site.working(batch_rows=200)) for _ in range(4)]
        await eventually(site.settled)
    assert sum(report.known for report in reports) == TIMES * len(frames)
    assert await site.fetch("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [(0,)]
    await site.assert_account_closes(bot)
