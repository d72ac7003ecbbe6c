"""Retention: nobody waits for it, and it may be killed anywhere; the next run ends what it began."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.fixtures import halting_retention
from tests.fixtures.command import Command
from tests.fixtures.frames import frame, span
from tests.fixtures.old_days import DAYS, aged, day, old_span, run, span_days, spans_of
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.replays import contents, replay
from tracequeue.keys import events_key
from tracequeue_worker.audit.accounting import Audit, audit_accounts
from tracequeue_worker.database import create_pool
from tracequeue_worker.retention import partitions
from tracequeue_worker.retention.models import Left
from tracequeue_worker.streams import Membership

READ = "SELECT count(*) FROM pipeline_spans"
DETACHING = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhdetachpending"
BEHIND_RETENTION = """
SELECT waiting.application_name, waiting.query
FROM pg_stat_activity AS waiting
JOIN pg_stat_activity AS retention ON retention.pid = ANY (pg_blocking_pids(waiting.pid))
WHERE retention.application_name = 'tracequeue retention' AND waiting.datname = current_database()
"""
SOON_MILLISECONDS = 1_000
"""A lock that others wait for is given up long before."""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition is tried for a moment only."""
    monkeypatch.setattr(partitions, "PATIENCE_SECONDS", 1.0)


async def audited(site: Site) -> Audit:
    pool = await create_pool(site.settings(), role="tracequeue_reader", size=1)
    try:
        return await audit_accounts(site.redis, Membership.of(site.settings()), pool)
    finally:
        pool.terminate()


def figures(audit: Audit) -> list[tuple[Any, ...]]:
    return [(one.emitter_id, one.emitted, one.persisted, one.dead, one.missing, one.closes) for one in audit.emitters]


async def detaching(site: Site) -> list[str]:
    return [row["name"] for row in await site.fetch(DETACHING)]


@asynccontextmanager
async def nobody_waits(site: Site) -> AsyncIterator[None]:
    """While the block runs, ask again and again who waits for retention: no worker may."""
    found: list[str] = []
    connection = await asyncpg.connect(site.database_url)

    async def ask() -> None:
        while True:
            rows = await connection.fetch(BEHIND_RETENTION)
            found.extend(row["query"] for row in rows if row["application_name"] == "tracequeue writer")

    asking = asyncio.create_task(ask())
    try:
        yield
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        connection.terminate()
    assert found == []


async def impatient(site: Site) -> asyncpg.Connection:
    """A connection that fails where it would have to wait."""
    connection = await asyncpg.connect(site.database_url)
    await connection.execute(f"SET lock_timeout = {SOON_MILLISECONDS}")
    return connection


def _spans_of(left: Iterable[Left]) -> list[str]:
    return [one.name for one in left if one.name.startswith("pipeline_spans")]


async def test_a_long_reader_keeps_a_day_and_nobody_waits_behind_it(site: Site, hurried: None) -> None:
    """Neither writers, nor who makes partitions, nor other readers; and the next run ends what was begun."""
    await spans_of(site, 100, 101)
    bot = site.bot()
    async with site.working() as report, site.holding(READ), nobody_waits(site), bot.emitting():
        await eventually(lambda: report.frames)
        work = asyncio.create_task(run(site))
        other = await impatient(site)
        number = 0
        while not work.done():
            number += 1
            await other.execute("SELECT pipeline_ensure_partition(current_date + $1::integer)", 10 + number)
            await other.fetch(READ)
        stored = report.frames
        await eventually(lambda: report.frames > stored)
        await other.close()
        assert number > 1
        read = [f"pipeline_spans_{day(101):%Y%m%d}", f"pipeline_spans_{day(100):%Y%m%d}"]
        assert _spans_of((await work).left) == read  # traces may be left too: partitions were being made all the time
        assert await detaching(site) == [f"pipeline_parts.pipeline_spans_{day(101):%Y%m%d}"]
        assert _spans_of((await run(site)).left) == read
    assert (await run(site)).left == []
    assert not {day(100), day(101)} & await span_days(site)
    await site.fetch("DELETE FROM pipeline_spans WHERE span_name = 'agent:trainer'")
    await site.assert_account_closes(bot)


async def test_a_transaction_that_is_open_for_long_is_named_and_not_waited_for(
    site: Site, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "LONG_SECONDS", 0.0)
    await spans_of(site, 100)
    async with site.holding(READ) as reader:
        pid = reader.get_server_pid()
        (left,) = [one for one in (await run(site)).left if "spans" in one.name]
        assert f"(pid {pid}) uses pipeline_spans in a transaction that is open for" in left.why
        assert await detaching(site) == []
    assert (await run(site)).left == []


async def test_an_event_of_a_day_that_is_being_detached_is_stored_after_all(site: Site, hurried: None) -> None:
    """Its worker is told to try again, and others go on; when the reader is done the day is made anew."""
    await spans_of(site, 100)
    async with site.holding(READ):
        assert (await run(site)).left
        assert await detaching(site)
        await site.redis.xadd(events_key(site.prefix, 0), frame(old_span(100), src="4" * 32))
    await site.drain()
    assert await detaching(site) == []
    assert (await site.fetch(READ))[0][0] == 2
    assert day(100) in await span_days(site)
    assert {one.day for one in (await run(site)).dropped} == {day(100)}


async def test_killed_while_a_partition_is_detached(site: Site, command: Command) -> None:
    await spans_of(site, 100, 101)
    async with site.holding(READ):
        process = command.start("retention", "--days", str(DAYS))
        try:
            await eventually(lambda: detaching(site))
        finally:
            process.kill()
            process.communicate()
        await no_retention(site)
    assert len(await detaching(site)) == 1
    answer = command("doctor", "--json")
    (found,) = [one for one in answer.document["findings"] if one["check"] == "retention"]
    assert (found["verdict"], found["found"]) == ("warn", f"half detached: pipeline_spans_{day(101):%Y%m%d}")
    assert command("retention", "--days", str(DAYS)).code == 0
    assert not {day(100), day(101)} & await span_days(site)


async def no_retention(site: Site) -> None:
    """Until the server has noticed that the client is gone."""
    query = (
        "SELECT FROM pg_stat_activity WHERE application_name = 'tracequeue retention' AND datname = current_database()"
    )

    async def none() -> bool:
        return not await site.fetch(query)

    await eventually(none)


@asynccontextmanager
async def retention_process(site: Site, point: str) -> AsyncIterator[Process]:
    own = {"TRACEQUEUE_DATABASE_URL": site.database_url, "PYTHONPATH": str(Path(__file__).parents[2])}
    machine = {name: value for name, value in os.environ.items() if not name.startswith("TRACEQUEUE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", halting_retention.__file__, point, env=machine | own
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("point", halting_retention.POINTS)
async def test_killed_at_any_point_the_next_run_goes_on(site: Site, point: str) -> None:
    await spans_of(site, 100, 101)
    await many_frames(site)
    await aged(site)
    before = figures(await audited(site))
    async with retention_process(site, point) as process:
        assert await process.wait() == -9
    await no_retention(site)
    assert figures(await audited(site)) == before
    report = await run(site)
    assert (report.left, report.frames > 0) == ([], True)
    assert not {day(100), day(101)} & await span_days(site)
    assert (await site.fetch("SELECT count(*) FROM pipeline_frames"))[0][0] == 0
    assert figures(await audited(site)) == before


async def many_frames(site: Site) -> None:
    """More than a page of the ledger."""
    for number in range(1, 201):
        await site.redis.xadd(events_key(site.prefix, 0), frame(span(), src="5" * 32, seq=number))
    await site.drain()


async def test_killed_inside_the_fold(site: Site, command: Command) -> None:
    """The statement waits when its client is killed; whatever becomes of it, no number is in both or in neither."""
    await many_frames(site)
    await aged(site)
    before = figures(await audited(site))
    async with site.holding("LOCK TABLE pipeline_settled IN SHARE MODE"):
        process = command.start("retention", "--days", str(DAYS))
        try:
            await eventually(lambda: site.fetch("SELECT FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'"))
            assert figures(await audited(site)) == before
        finally:
            process.kill()
            process.communicate()
    await no_retention(site)
    assert figures(await audited(site)) == before
    assert command("retention", "--days", str(DAYS)).code == 0
    assert figures(await audited(site)) == before


async def test_the_ledger_is_pruned_while_workers_write_it(site: Site, hurried: None) -> None:
    bot = site.bot()
    async with site.working() as report, site.working(), bot.emitting():
        for _ in range(10):
            stored = report.frames
            await eventually(lambda least=stored: report.frames > least)
            await aged(site)
            await run(site)
            assert (await audited(site)).closes
    await site.assert_account_closes(bot)
    await aged(site)
    await run(site)
    assert (await audited(site)).closes
    (pruned,) = await site.fetch("SELECT events FROM pipeline_settled")
    assert pruned["events"] == bot.journal.events


async def test_a_replay_of_pruned_frames_doubles_nothing(site: Site) -> None:
    bot = site.bot()
    bot.burst(50)
    await bot.stop()
    await site.drain()
    await aged(site)
    before, account = await contents(site.database_url), figures(await audited(site))
    await run(site)
    for _ in range(2):
        report = await replay(site, site.database_url)
        assert (report.complete, report.written, report.present) == (True, 0, bot.journal.events)
        assert figures(await audited(site)) == account
    after = await contents(site.database_url)
    assert [after[table] for table in ("pipeline_spans", "pipeline_traces")] == [
        before[table] for table in ("pipeline_spans", "pipeline_traces")
    ]
    await aged(site)
    await run(site)
    assert figures(await audited(site)) == account
    await site.assert_account_closes(bot)
