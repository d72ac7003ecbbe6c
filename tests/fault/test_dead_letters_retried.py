"""Fault 32: dead letters retried twice, by two at once, interrupted, refused again: one row, and no letter lost."""

import asyncio
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.command import Command
from tests.fixtures.frames import frame, ndjson, span
from tests.fixtures.journal import Bot
from tests.fixtures.oracle import LONGEST_SECONDS, Site
from tests.fixtures.polling import eventually
from tests.fixtures.worker_process import worker_process
from tracequeue.keys import dead_key, events_key

TOMORROW = {"past_limit": (datetime.now(UTC) + timedelta(days=2)).date()}
"""The setting of a worker that refuses all events of now."""


async def all_dead(site: Site, traces: int) -> Bot:
    """A bot all of whose events became dead letters."""
    bot = site.bot()
    bot.burst(traces)
    await bot.stop()
    await site.drain(**TOMORROW)
    assert await letters(site) == bot.journal.events
    return bot


async def letters(site: Site) -> int:
    return int(await site.redis.xlen(dead_key(site.prefix, 0)))


async def retry(command: Command, *arguments: str, **variables: str) -> Any:
    """The document that the command prints; workers go on meanwhile."""
    answer = await asyncio.to_thread(command, "dlq", "retry", *arguments, "--json", **variables)
    assert answer.code == 0, answer
    return answer.document


async def test_retried_twice(site: Site, command: Command) -> None:
    bot = await all_dead(site, 20)
    assert (await retry(command, "--all"))["retried"] == bot.journal.events
    assert (await retry(command, "--all"))["retried"] == 0
    await site.drain()
    assert (await retry(command, "--all"))["retried"] == 0
    await site.assert_account_closes(bot)


async def test_the_same_letter_sent_twice_is_stored_once(site: Site, command: Command) -> None:
    """As after a backup of Redis was played back: the letter is there again."""
    bot = await all_dead(site, 1)
    before = await site.redis.xrange(dead_key(site.prefix, 0))
    await retry(command, "--all")
    for _, fields in before:
        await site.redis.xadd(dead_key(site.prefix, 0), fields)
    await retry(command, "--all")
    report = await site.drain()
    assert report.frames == 2 * bot.journal.events
    await site.assert_account_closes(bot)


async def test_retried_by_two_at_once(site: Site, command: Command) -> None:
    """Both have read the same letters before the first one is sent."""
    bot = await all_dead(site, 60)
    patient = {"TRACEQUEUE_REDIS_URL": f"{site.redis_url}?socket_timeout=60"}
    await site.redis.client_pause(60_000, all=False)
    try:
        both = asyncio.gather(*(retry(command, "--all", **patient) for _ in range(2)))
        await eventually(lambda: sending(site, 2))
    finally:
        await site.redis.client_unpause()
    documents = await both
    assert sum(document["retried"] for document in documents) == bot.journal.events
    assert sum(document["gone"] for document in documents) > 0
    await site.drain()
    await site.assert_account_closes(bot)


async def test_retried_by_one_who_is_killed_in_the_middle(site: Site, command: Command) -> None:
    bot = await all_dead(site, 200)
    drained, _ = await entries_and_letters(site)
    process = command.start("dlq", "retry", "--all")
    try:
        await eventually(lambda: some_sent(site, bot), LONGEST_SECONDS)
    finally:
        process.kill()
        process.communicate()
    entries, left = await entries_and_letters(site)
    assert 0 < left < bot.journal.events
    assert left + entries - drained == bot.journal.events
    await retry(command, "--all")
    assert await letters(site) == 0
    await site.drain()
    await site.assert_account_closes(bot)


async def sending(site: Site, count: int) -> bool:
    """Whether so many wait for the answer to a script; loading it is none that writes."""
    return sum(client["cmd"] == "evalsha" for client in await site.redis.client_list()) == count


async def some_sent(site: Site, bot: Bot) -> bool:
    return await letters(site) < bot.journal.events


async def entries_and_letters(site: Site) -> tuple[int, int]:
    """At one moment."""
    async with site.redis.pipeline(transaction=True) as both:
        both.xlen(events_key(site.prefix, 0)).xlen(dead_key(site.prefix, 0))
        entries, left = await both.execute()
    return entries, left


@pytest.mark.parametrize("point", ["after COMMIT", "before settling", "between two calls of settling"])
@pytest.mark.parametrize("mended", [True, False])
async def test_a_worker_is_killed_over_retried_letters(site: Site, command: Command, point: str, mended: bool) -> None:
    bot = await all_dead(site, 3)
    await retry(command, "--all")
    settings = {} if mended else TOMORROW
    variables = {f"TRACEQUEUE_{name.upper()}": str(value) for name, value in settings.items()}
    async with worker_process(site, point, **variables) as worker:
        assert await worker.wait() == -signal.SIGKILL
    await site.drain(**settings)
    await site.assert_account_closes(bot, dead=0 if mended else bot.journal.events)


async def test_refused_again_it_is_one_letter_with_its_history(site: Site, command: Command) -> None:
    bot = await all_dead(site, 2)
    first = await site.dead_letters()
    for times in (1, 2):
        await retry(command, "--all")
        await site.drain(**TOMORROW)
        again = await site.dead_letters()
        assert {letter["retries"] for letter in again} == {str(times)}
        for name in ("raw", "first_seen", "index", "src", "seq"):
            assert Counter(one[name] for one in again) == Counter(one[name] for one in first)
    await retry(command, "--all")
    await site.drain()
    await site.assert_account_closes(bot)


async def test_frames_that_were_refused_whole(site: Site, command: Command) -> None:
    """Of another wire version at first, as a newer emitter sends them before the worker is upgraded."""
    bot = site.bot()
    bot.burst(5)
    await bot.stop()
    key = events_key(site.prefix, 0)
    sent = await site.redis.xrange(key)
    await site.redis.delete(key)
    for _, fields in sent:
        await site.redis.xadd(key, fields | {b"v": b"2"})
    await site.drain()
    dead = await site.redis.xrange(dead_key(site.prefix, 0))
    assert len(dead) == len(sent)
    for entry_id, fields in dead:  # the upgraded worker: it reads this version
        await site.redis.xdel(dead_key(site.prefix, 0), entry_id)
        await site.redis.xadd(dead_key(site.prefix, 0), fields | {b"field:v": b"1"})
    await retry(command, "--all")
    await site.drain()
    await site.assert_account_closes(bot)


async def test_events_without_an_emitter_keep_their_place_in_the_account(site: Site, command: Command) -> None:
    """The ledger knows such a frame by a hash of its entry: the retried event is taken out of its dead ones."""
    key = events_key(site.prefix, 0)
    await site.redis.xadd(key, {b"body": ndjson(span(), span(span_name="late"), b"never")})
    await site.redis.xadd(key, frame(span(), src="a" * 32))
    await site.drain(**TOMORROW)
    assert await letters(site) == 4
    await retry(command, "--reason", "time_range")
    await site.drain()
    await eventually(site.settled)
    (left,) = await site.dead_letters()
    assert left["raw"] == "never"
    assert len(await site.fetch("SELECT FROM pipeline_spans")) == 3
    frames = await site.fetch("SELECT events, jsonb_array_length(dead) AS dead FROM pipeline_frames ORDER BY events")
    assert [tuple(row) for row in frames] == [(1, 0), (3, 1)]


async def test_the_stream_refuses_and_the_letters_stay(site: Site, command: Command) -> None:
    bot = await all_dead(site, 2)
    await site.redis.config_set("maxmemory", "1")
    try:
        answer = await asyncio.to_thread(command, "dlq", "retry", "--all")
    finally:
        await site.redis.config_set("maxmemory", "0")
    assert answer.code == 3
    assert "OOM" in answer.err
    assert "the others are still there" in answer.err
    assert await letters(site) == bot.journal.events
    await retry(command, "--all")
    await site.drain()
    await site.assert_account_closes(bot)
