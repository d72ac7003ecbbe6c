"""Faults 12 and 13: Redis runs out of memory, or is told to make room by evicting streams."""

import logging

import pytest

from tests.fixtures.foreign import Producer
from tests.fixtures.oracle import LONGEST_SECONDS, Site
from tests.fixtures.polling import eventually
from tests.fixtures.pressure import LARGE, ROOM, emit, fill, limit_memory, refusals
from tracequeue.keys import events_key
from tracequeue_worker.errors import Fatal
from tracequeue_worker.trimmer import PRESSURE


async def memory_is_ample(site: Site) -> bool:
    facts = await site.redis.info("memory")
    return bool(facts["used_memory"] < facts["maxmemory"] * PRESSURE)


async def test_a_worker_drains_and_trims_a_redis_that_is_full(own_site: Site) -> None:
    """It comes when memory is full already, so that not even its group is there."""
    await limit_memory(own_site)
    bot = own_site.bot()
    await fill(own_site, bot)
    emit(bot, 50)
    async with own_site.working() as report:
        await eventually(lambda: report.trimmed)
        emit(bot, 50)
        await bot.stop()
        await eventually(own_site.settled, LONGEST_SECONDS)
    await own_site.assert_account_closes(bot)


async def test_settled_history_makes_room_before_memory_is_full(
    own_site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Several times what fits flows through, though what is settled should be kept for a day; nobody is refused."""
    await limit_memory(own_site)
    bot = own_site.bot()
    async with own_site.working() as report:
        while len(bot.journal.spans) * LARGE / 2 < 3 * ROOM:
            emit(bot, 20)
            await bot.collector.flush()
            await eventually(lambda: memory_is_ample(own_site))
        await bot.stop()
        await eventually(own_site.settled, LONGEST_SECONDS)
    assert report.trimmed
    assert bot.dropped == await refusals(own_site) == 0
    assert any("KEEP_STREAM_SECONDS" in message for message in caplog.messages)
    await own_site.assert_account_closes(bot)


async def test_a_dead_letter_waits_for_room(own_site: Site) -> None:
    """What cannot be written stays pending; it is written as soon as history has made room."""
    producer = Producer(own_site.redis, own_site.prefix)
    await producer.send(b"no event at all")
    bot = own_site.bot()
    await limit_memory(own_site)
    await fill(own_site, bot)
    async with own_site.working() as report:
        await eventually(lambda: report.trimmed)
        await eventually(own_site.settled, LONGEST_SECONDS)
        await bot.stop()
        await eventually(own_site.settled, LONGEST_SECONDS)
    (letter,) = await own_site.dead_letters()
    assert letter["raw"] == "no event at all"
    assert report.dead_letters == 1


async def test_without_a_worker_unread_frames_are_never_eaten(own_site: Site) -> None:
    """A worker that cannot store anything trims nothing, however full it is; afterwards all of it is stored."""
    await limit_memory(own_site)
    bot = own_site.bot()
    async with own_site.working() as report:
        async with own_site.holding("LOCK TABLE pipeline_frames IN ACCESS EXCLUSIVE MODE"):
            await fill(own_site, bot)
            length = await own_site.redis.xlen(events_key(own_site.prefix, 0))
            assert report.trimmed == 0
        await bot.stop()
        await eventually(own_site.settled, LONGEST_SECONDS)
    assert length
    assert report.lost_entries == 0
    await own_site.assert_account_closes(bot)


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random"])
async def test_a_redis_that_evicts_is_refused_at_start(own_site: Site, policy: str) -> None:
    await own_site.redis.config_set("maxmemory-policy", policy)
    with pytest.raises(Fatal, match="CONFIG SET maxmemory-policy noeviction"):
        await own_site.drain()
    assert not await own_site.redis.exists(events_key(own_site.prefix, 0))


async def test_a_redis_that_begins_to_evict(own_site: Site, caplog: pytest.LogCaptureFixture, soon_cured: None) -> None:
    """Said while it is so; what flows is stored and settled as ever; over when it is over."""
    caplog.set_level(logging.INFO)
    async with own_site.flowing() as report:
        await own_site.redis.config_set("maxmemory-policy", "allkeys-lru")
        await eventually(lambda: any("held: keeping frames in Redis" in one for one in caplog.messages))
        before = report.frames
        await eventually(lambda: report.frames > before + 10)
        await own_site.redis.config_set("maxmemory-policy", "noeviction")
        await eventually(lambda: "recovered: keeping frames in Redis" in caplog.messages)


async def test_a_redis_that_evicted_the_stream(own_site: Site) -> None:
    """All keys at once, as it does under pressure: frames that were unread are counted as far as they were known."""
    key = events_key(own_site.prefix, 0)
    producer = Producer(own_site.redis, own_site.prefix)
    async with own_site.working(batch_rows=10) as report:
        async with own_site.holding("LOCK TABLE pipeline_frames IN ACCESS EXCLUSIVE MODE"):
            for _ in range(300):
                await producer.send()
            await eventually(lambda: told_unread(own_site))
            unread = int(await told_unread(own_site))
            await own_site.redis.config_set("maxmemory-policy", "allkeys-random")
            await own_site.redis.config_set("maxmemory", 1)
            await eventually(lambda: stream_is_gone(own_site))
            await own_site.redis.config_set("maxmemory", 0)
            await own_site.redis.config_set("maxmemory-policy", "noeviction")
            await eventually(lambda: report.lost_entries)
        await producer.send()
        await eventually(own_site.settled, LONGEST_SECONDS)
    assert 0 < report.lost_entries <= unread
    rows = await own_site.fetch("SELECT reason, stream FROM pipeline_losses")
    assert {(row["reason"], row["stream"]) for row in rows} == {("vanished", key)}


async def told_unread(site: Site) -> bytes | None:
    """What the worker's last look said, once that is steady."""
    (backlog,) = await site.backlog()
    told = await site.redis.hget(f"{{{site.prefix}:0}}:tally", "unread:persist")
    return told if told and int(told) == backlog.unread > 0 else None


async def stream_is_gone(site: Site) -> bool:
    await site.redis.get("anything")
    return not await site.redis.exists(events_key(site.prefix, 0))
