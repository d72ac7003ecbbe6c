"""Faults 3, 5 and 7: workers that hold on, that come and go under new names, and that all start at once."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

from redis.exceptions import ResponseError

from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue.keys import events_key
from tracequeue_worker.errors import Fatal
from tracequeue_worker.report import WorkerReport
from tracequeue_worker.service import Stop, run

LEASES = 4
"""How often a lease is seen renewed before the batch goes on: three times a claim time."""


async def pending_of(site: Site, consumer: str) -> list[dict[str, int]]:
    """The entries that are pending under a name."""
    with suppress(ResponseError):
        return list(await site.redis.xpending_range(events_key(site.prefix, 0), "persist", "-", "+", 100, consumer))
    return []


async def test_a_batch_slower_than_the_claim_time_stays_with_its_worker(site: Site) -> None:
    bot = site.bot()
    async with site.working(consumer="slow", min_idle_ms=3_000) as slow:
        async with site.holding("LOCK TABLE pipeline_spans IN ACCESS EXCLUSIVE MODE"):
            bot.burst(20)
            await bot.stop()
            await eventually(lambda: pending_of(site, "slow"))
            async with site.working(consumer="idle", min_idle_ms=3_000) as idle:
                ages: list[int] = []

                async def renewed_again_and_again() -> bool:
                    entry = (await pending_of(site, "slow"))[0]
                    assert entry["times_delivered"] == 1
                    if not ages or entry["time_since_delivered"] != ages[-1]:
                        ages.append(entry["time_since_delivered"])
                    return sum(later < earlier for earlier, later in pairwise(ages)) >= LEASES

                await eventually(renewed_again_and_again)
        await eventually(site.settled)
    assert (bool(slow.frames), idle.frames, slow.known) == (True, 0, 0)
    await site.assert_account_closes(bot)


async def test_fifty_restarts_under_new_names(site: Site) -> None:
    """Each ends without a word, with frames in its hands. Their names go once nothing is pending under them."""
    bot = site.bot()
    async with bot.emitting(), site.holding("LOCK TABLE pipeline_frames IN ACCESS EXCLUSIVE MODE"):
        for number in range(50):
            worker = asyncio.create_task(run(site.settings(consumer=f"w{number}")))
            await eventually(lambda number=number: pending_of(site, f"w{number}"))
            worker.cancel()
            await asyncio.wait({worker})
    async with site.working(consumer="last"):
        await eventually(site.settled)
        await eventually(lambda: only_one_is_left(site))
    await site.assert_account_closes(bot)


async def only_one_is_left(site: Site) -> bool:
    consumers = await site.redis.xinfo_consumers(events_key(site.prefix, 0), "persist")
    return [one["name"] for one in consumers] == [b"last"]


async def test_twenty_workers_start_at_once_on_empty_servers(site: Site) -> None:
    """No stream, no group, no partition."""
    stop, reports = Stop(), [WorkerReport() for _ in range(20)]
    settings = [site.settings(batch_rows=20) for _ in reports]
    workers = [
        asyncio.create_task(run(own, stop=stop, report=report)) for own, report in zip(settings, reports, strict=True)
    ]
    bot = site.bot()
    async with bot.emitting():
        await eventually(lambda: sum(bool(report.frames) for report in reports) > 10)
    await eventually(site.settled)
    stop.ask()
    await asyncio.gather(*workers)
    await site.assert_account_closes(bot)


async def test_twenty_workers_on_a_database_without_tables_say_so(site: Site, database_url: str) -> None:
    empty = replace(site, database_url=database_url)
    ends = await asyncio.gather(*(run(empty.settings()) for _ in range(20)), return_exceptions=True)
    assert {type(end) for end in ends} == {Fatal}
    assert {str(end) for end in ends} == {"the database has no tracequeue tables: run `tracequeue migrate`"}
