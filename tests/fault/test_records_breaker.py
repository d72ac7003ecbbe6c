"""Fault 30: all poison. The breaker holds its producer, others flow, and what was held is stored after the cure."""

import asyncio
import re

import pytest

from tests.fixtures.command import Command
from tests.fixtures.foreign import Producer
from tests.fixtures.frames import ended, span, started
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue_worker import refusals
from tracequeue_worker.refusals import MOST_IN_A_ROW

PER_FRAME = 5
MOST_LETTERS = MOST_IN_A_ROW + PER_FRAME
"""Of one producer through one worker: the frame that goes past the limit is a dead letter still."""

REFUSE_BAD = "ALTER TABLE pipeline_spans ADD CONSTRAINT no_bad_names CHECK (span_name <> 'bad') NOT VALID"
REFUSE_ALL = "ALTER TABLE pipeline_spans ADD CONSTRAINT no_bad_names CHECK (duration_ms < 0) NOT VALID"
CURE = "ALTER TABLE pipeline_spans DROP CONSTRAINT no_bad_names"


async def send_bad(producer: Producer, frames: int) -> None:
    for _ in range(frames):
        await producer.send(*(span(span_name="bad") for _ in range(PER_FRAME)))


async def held_frames(site: Site) -> int:
    return sum(one.pending for one in await site.backlog())


async def test_one_producer_is_held_while_others_flow_and_it_comes_back_by_itself(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    await site.execute(REFUSE_BAD)
    bot, garbage = site.bot(), Producer(site.redis, site.prefix)
    async with site.working() as report:
        async with bot.emitting():
            await send_bad(garbage, 200)
            await eventually(lambda: report.held > 100)
            letters = report.dead_letters
            before = report.frames
            await send_bad(garbage, 50)
            await eventually(lambda: report.frames > before + 20)
            await eventually(lambda: report.held > 150)
            assert report.dead_letters == letters <= MOST_LETTERS
            assert "held: producer " + garbage.src in caplog.text
            await site.execute(CURE)
            await eventually(lambda: not report.held)
        await eventually(site.settled)
    assert caplog.text.count("held: producer") == 1
    await site.assert_account_closes(bot, garbage, dead=letters)


async def test_held_frames_are_not_read_again_and_again(site: Site) -> None:
    """They are pending under the worker's name, where its sweeps look for lost ones; others never take them over."""
    await site.execute(REFUSE_BAD)
    garbage = Producer(site.redis, site.prefix)
    await send_bad(garbage, 400)

    async def calls(command: str) -> int:
        return int((await site.redis.info("commandstats")).get(f"cmdstat_{command}", {"calls": 0})["calls"])

    async with site.working(consumer="first") as report, site.working(consumer="second") as other:
        await eventually(lambda: report.held + other.held > 300)
        read, swept = await calls("xrange"), await calls("xinfo|consumers")

        async def swept_again() -> bool:
            return await calls("xinfo|consumers") > swept + 12

        await eventually(swept_again)
        assert await calls("xrange") < read + 100
        assert report.dead_letters + other.dead_letters <= 2 * MOST_LETTERS
        held = {one["name"]: one["pending"] for one in await consumers(site)}
        assert sum(held.values()) == await held_frames(site)
        await site.execute(CURE)
        await eventually(site.settled)
        letters = report.dead_letters + other.dead_letters
    await site.assert_account_closes(garbage, dead=letters)


async def consumers(site: Site) -> list[dict[str, int]]:
    (key,) = await site.redis.keys(f"*{site.prefix}*:events")
    return await site.redis.xinfo_consumers(key, "persist")


async def test_everybody_is_held_when_the_store_refuses_everything(site: Site) -> None:
    await site.execute(REFUSE_ALL)
    producers = [Producer(site.redis, site.prefix) for _ in range(3)]
    async with site.working() as report:
        for producer in producers:
            await send_bad(producer, 60)
        await eventually(lambda: report.held > 3 * 30)
        letters = report.dead_letters
        assert letters <= len(producers) * MOST_LETTERS
        await site.execute(CURE)
        await eventually(site.settled)
    await site.assert_account_closes(*producers, dead=letters)


async def test_those_that_do_not_say_who_they_are_count_as_one(site: Site) -> None:
    await site.execute(REFUSE_BAD)
    nameless, named = Producer(site.redis, site.prefix, named=False), Producer(site.redis, site.prefix)
    async with site.working() as report:
        await send_bad(nameless, 60)
        await eventually(lambda: report.held > 30)
        before = report.frames
        await named.send(span(), span())
        await eventually(lambda: report.frames > before)
        await site.execute(CURE)
        await eventually(site.settled)
    await site.assert_account_closes(nameless, named, dead=report.dead_letters)


async def test_more_than_half_is_too_much_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame has records that can be stored, so that there are never many refusals in a row."""
    monkeypatch.setattr(refusals, "WINDOW", 100)
    monkeypatch.setattr(refusals, "MOST_IN_WINDOW", 50)
    await site.execute(REFUSE_BAD)
    producer = Producer(site.redis, site.prefix)
    async with site.working() as report:
        for _ in range(80):
            trace = started()
            end = ended(trace_id=trace["trace_id"], start_time=trace["start_time"])
            await producer.send(trace, *(span(span_name="bad") for _ in range(3)), end)
        await eventually(lambda: report.held > 40)
        assert 50 < report.dead_letters <= 60
        await site.execute(CURE)
        await eventually(site.settled)
    await site.assert_account_closes(producer, dead=report.dead_letters)


async def test_a_producer_that_was_mended_flows_again_though_the_store_refuses_still(site: Site) -> None:
    await site.execute(REFUSE_BAD)
    producer = Producer(site.redis, site.prefix)
    async with site.working() as report:
        await send_bad(producer, 50)
        await eventually(lambda: report.held > 20)
        for number in range(20):
            await producer.send(span(output_data=number))

        async def mended() -> bool:
            return len(await site.fetch("SELECT FROM pipeline_spans")) == 20

        await eventually(mended)
        await site.execute(CURE)
        await eventually(site.settled)
    await site.assert_account_closes(producer, dead=report.dead_letters)


async def test_what_decoding_refuses_holds_nobody(site: Site) -> None:
    producer = Producer(site.redis, site.prefix)
    for _ in range(20):
        await producer.send(*[b"{"] * 20)
    await producer.send(span())
    report = await site.drain()
    assert (report.held, report.dead_letters) == (0, 400)


async def test_a_worker_that_leaves_hands_its_held_frames_over(site: Site) -> None:
    """The next one does not know: it counts for itself, up to the same limit."""
    await site.execute(REFUSE_BAD)
    garbage = Producer(site.redis, site.prefix)
    await send_bad(garbage, 150)
    letters = 0
    for name in ("first", "second"):
        async with site.working(consumer=name) as report:
            await eventually(lambda report=report: report.held > 50)
        letters += report.dead_letters
        assert report.dead_letters <= MOST_LETTERS
        assert report.unfinished == report.held > 50
    assert await held_frames(site) == 150 - letters // PER_FRAME
    await site.execute(CURE)
    await site.drain()
    await site.assert_account_closes(garbage, dead=letters)


async def test_held_frames_survive_a_flush_of_redis(site: Site) -> None:
    """They are lost to whoever flushed it, but the worker goes on, and holds nothing that is not there."""
    await site.execute(REFUSE_BAD)
    garbage, bot = Producer(site.redis, site.prefix), site.bot()
    async with site.working() as report:
        await send_bad(garbage, 60)
        await eventually(lambda: report.held > 30)
        (key,) = await site.redis.keys(f"*{site.prefix}*:events")
        await site.redis.delete(key)
        bot.burst(3)
        await bot.stop()

        async def stored() -> bool:
            return len(await site.fetch("SELECT FROM pipeline_traces WHERE status IS NOT NULL")) == 3

        await eventually(stored)
        await eventually(lambda: not report.held)


async def test_retried_dead_letters_are_judged_at_once(site: Site) -> None:
    """Somebody waits for the answer, and they are not the producer's stream of new records."""
    await site.execute(REFUSE_BAD)
    garbage = Producer(site.redis, site.prefix)
    async with site.working() as report:
        sent = await garbage.send(*(span(span_name="bad") for _ in range(PER_FRAME)))
        await send_bad(garbage, 60)
        await eventually(lambda: report.held > 30)
        letters = report.dead_letters
        await garbage.put(sent | {b"retry": b"[0, 1]"})
        await eventually(lambda: report.dead_letters == letters + 2)
        await site.execute(CURE)
        await garbage.put(sent | {b"retry": b"[0, 1, 2, 3, 4]"})
        await eventually(site.settled)
    rows = await site.fetch("SELECT FROM pipeline_spans")
    assert len(rows) == 61 * PER_FRAME - letters + PER_FRAME


async def test_a_drain_ends_and_says_what_it_leaves(site: Site, alone: Command) -> None:
    await site.execute(REFUSE_BAD)
    garbage, named = Producer(site.redis, site.prefix), Producer(site.redis, site.prefix)
    await send_bad(garbage, 100)
    await named.send(span())
    servers = {
        "TRACEQUEUE_REDIS_URL": site.redis_url,
        "TRACEQUEUE_DATABASE_URL": site.database_url,
        "TRACEQUEUE_PREFIX": site.prefix,
        "TRACEQUEUE_MIN_IDLE_MS": "1000",
    }
    answer = await asyncio.to_thread(alone, "worker", "--drain", **servers)
    assert answer.code == 1
    assert re.search(r"held: producer " + garbage.src + r" \(bot\): the store refused \d+ records in a row", answer.err)
    assert re.search(r"\d+ frames held", answer.err)
    letters = len(await site.dead_letters())
    assert await held_frames(site) == 100 - letters // PER_FRAME
    await site.execute(CURE)
    answer = await asyncio.to_thread(alone, "worker", "--drain", **servers)
    assert answer.code == 0
    await site.assert_account_closes(garbage, named, dead=letters)
