"""Fault 25: a clock goes back by an hour: that of Redis, or that of the bot."""

import json
import time

from tests.fixtures.frames import frame, span
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue.clock import Clock
from tracequeue.keys import events_key

HOUR_MS = 3_600_000


async def test_the_clock_of_redis_goes_back(own_site: Site) -> None:
    """Its ids then go on from the last one, an hour ahead, as they do when a newer primary took over."""
    key = events_key(own_site.prefix, 0)
    bot = own_site.bot()
    async with own_site.working() as report:
        ahead = time.time_ns() // 1_000_000 + HOUR_MS
        await own_site.redis.xadd(key, frame(), id=f"{ahead}-7")
        bot.burst(20)
        await bot.stop()
        last = (await own_site.redis.xinfo_stream(key))["last-generated-id"]
        assert int(last.partition(b"-")[0]) == ahead
        await eventually(lambda: report.events == bot.journal.events)
        await eventually(own_site.settled)
    assert all((one.oldest_seconds or 0) >= 0 for one in await own_site.backlog())
    await own_site.assert_account_closes(bot)


async def test_ids_that_begin_anew_are_no_known_frames(own_site: Site) -> None:
    """After a flush a frame may get the id that another one had: ids are not what frames are known by."""
    key = events_key(own_site.prefix, 0)
    for name in ("before", "after"):
        await own_site.redis.xadd(key, frame(span(span_name=name)), id="1700000000000-0")
        await own_site.redis.xadd(key, {"body": frame_body(name)}, id="1700000000000-1")
        await own_site.drain()
        await own_site.redis.flushall()
    rows = await own_site.fetch("SELECT span_name, count(*) FROM pipeline_spans GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in rows] == [("after", 2), ("before", 2)]


async def test_the_clock_of_the_bot_goes_back(site: Site) -> None:
    """Times within a trace come from a clock that never does; the trace after it simply starts an hour earlier."""
    behind = 0
    bot = site.bot()
    bot.collector.clock = Clock(wall=lambda: time.time_ns() - behind)
    bot.burst(5)
    behind = HOUR_MS * 1_000_000
    bot.burst(5)
    await bot.stop()
    await site.drain()
    backwards = await site.fetch("SELECT FROM pipeline_spans WHERE end_time < start_time OR duration_ms < 0")
    assert not backwards
    await site.assert_account_closes(bot)


def frame_body(name: str) -> bytes:
    return json.dumps(span(span_name=name)).encode()
