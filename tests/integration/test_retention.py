"""Retention on real servers: old days go whole, and no account changes by the pruning of the ledger."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from tests.fixtures.access import PostgresAccess
from tests.fixtures.frames import frame, span
from tests.fixtures.journal import Bot
from tests.fixtures.old_days import DAYS, aged, day, run, span_days, spans_of
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue.keys import dead_key, events_key
from tracequeue_worker.audit.accounting import audit_accounts
from tracequeue_worker.cli.retaining import daily
from tracequeue_worker.database import create_pool
from tracequeue_worker.dead_letters.reader import DeadLetters
from tracequeue_worker.dead_letters.retry import Campaign, Retry
from tracequeue_worker.doctor import examine
from tracequeue_worker.errors import RetentionError
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.retention.run import LOCK, retain
from tracequeue_worker.streams import Membership

GROUP = "persist"


@pytest.fixture
async def pool(site: Site) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(site.settings(), role="tracequeue_reader", size=1)
    yield pool
    pool.terminate()


async def accounts(site: Site, pool: asyncpg.Pool) -> dict[str, Any]:
    """What an audit says of every emitter."""
    audit = await audit_accounts(site.redis, Membership.of(site.settings()), pool)
    return {str(one.emitter_id): one.model_dump() for one in audit.emitters}


async def delivered_again(site: Site) -> None:
    """Everything that is in the stream."""
    await site.redis.xgroup_destroy(events_key(site.prefix, 0), GROUP)
    await site.redis.xgroup_create(events_key(site.prefix, 0), GROUP, id="0")


async def count(site: Site, table: str) -> int:
    return int((await site.fetch(f"SELECT count(*) FROM {table}"))[0][0])


async def test_days_that_ended_longer_ago_go_and_the_others_stay(site: Site) -> None:
    await spans_of(site, 0, DAYS - 1, DAYS, DAYS + 1, 100, 2000)
    foreseen = await run(site, dry_run=True)
    assert {one.day for one in foreseen.dropped} == {day(DAYS + 1), day(100), day(2000)}
    assert await count(site, "pipeline_spans") == 6
    done = await run(site)
    assert [one.name for one in done.dropped] == [one.name for one in foreseen.dropped]
    assert (done.left, done.bytes) == ([], foreseen.bytes)
    assert done.bytes == sum(one.bytes for one in done.dropped) > 0
    assert await count(site, "pipeline_spans") == 3
    days = await span_days(site)
    assert min(days) == day(DAYS)
    assert {day(DAYS), day(DAYS - 1), day(0)} <= days
    assert (await run(site)).dropped == []


async def test_events_of_a_day_that_is_gone_make_it_again_until_the_next_run(site: Site) -> None:
    await spans_of(site, 100)
    await run(site)
    await spans_of(site, 100)
    assert await count(site, "pipeline_spans") == 1
    assert {one.day for one in (await run(site)).dropped} == {day(100)}
    assert await count(site, "pipeline_spans") == 0


async def test_no_account_changes_when_the_ledger_is_pruned(site: Site, pool: asyncpg.Pool) -> None:
    """Of a bot that runs, of one that stopped, with a gap, with dead letters, with a number used twice, without one."""
    key = events_key(site.prefix, 0)
    stopped = site.bot()
    stopped.burst(5)
    await stopped.stop()
    running = site.bot()
    running.burst(5)
    assert await running.collector.flush()
    gap = "0" * 31 + "1"
    for number in (1, 2, 5):
        await site.redis.xadd(key, frame(span(), span(span_id="!"), src=gap, seq=number))
    await site.redis.xadd(key, frame(span(span_name="other"), src=gap, seq=1))
    await site.redis.xadd(key, frame(span()) | {b"v": b"9"})
    await site.redis.xadd(key, {b"body": frame(span())[b"body"], b"enc": b"zstd"})
    await site.drain()
    before = await accounts(site, pool)
    assert not before["00000000-0000-0000-0000-000000000001"]["closes"]
    assert [one["first"] for one in before["00000000-0000-0000-0000-000000000001"]["missing"]] == [3]
    await aged(site)
    pruned = (await run(site)).frames
    assert pruned > 0
    assert await count(site, "pipeline_frames") < 3
    assert comparable(await accounts(site, pool)) == comparable(before)
    running.burst(5)
    assert await running.collector.flush()
    await site.drain()
    after = (await accounts(site, pool))[str(running_id(running))]
    assert (after["closes"], after["persisted"]) == (True, running.journal.events)
    await aged(site)
    await run(site)
    assert (await accounts(site, pool))[str(running_id(running))]["persisted"] == running.journal.events
    await running.stop()
    assert await count(site, "pipeline_settled") == len(before) - 1


def comparable(found: dict[str, Any]) -> dict[str, Any]:
    """Without what changes by the clock alone."""
    return {name: {key: value for key, value in one.items() if key != "last_seen"} for name, one in found.items()}


def running_id(bot: Bot) -> UUID:
    return UUID(bot.collector.identity.emitter_id)


async def test_pruned_frames_that_come_again_double_no_row_and_count_once(site: Site, pool: asyncpg.Pool) -> None:
    bot = site.bot()
    for _ in range(4):
        bot.trace()
        assert await bot.collector.flush()
    await bot.stop()
    await site.drain()
    before = await accounts(site, pool)
    frames = await count(site, "pipeline_frames")
    await aged(site)
    assert (await run(site)).frames == frames
    settled = await site.fetch("SELECT * FROM pipeline_settled")
    await delivered_again(site)
    assert await accounts(site, pool) == before, "while they wait once more"
    assert (await site.drain()).frames == frames
    assert await count(site, "pipeline_frames") == frames
    assert await accounts(site, pool) == before, "when they are in the ledger once more"
    assert await TraceRepo(pool).get_rate() == 0
    await aged(site)
    assert (await run(site)).frames == frames
    assert await site.fetch("SELECT * FROM pipeline_settled") == settled
    assert await accounts(site, pool) == before
    await site.assert_account_closes(bot)


async def test_frames_without_an_emitter_stay_in_the_ledger(site: Site, pool: asyncpg.Pool) -> None:
    """Nothing but their row would tell that they were stored."""
    await site.redis.xadd(events_key(site.prefix, 0), {b"body": frame(span())[b"body"], b"enc": b"zstd"})
    await site.drain()
    before = await accounts(site, pool)
    await aged(site)
    assert (await run(site)).frames == 0
    await delivered_again(site)
    await site.drain()
    assert await count(site, "pipeline_spans") == 1
    assert await accounts(site, pool) == before


async def test_nothing_is_pruned_that_may_still_be_in_the_stream_or_among_the_dead_letters(site: Site) -> None:
    key = events_key(site.prefix, 0)
    await site.redis.xadd(key, frame(span(), src="1" * 32))
    await site.redis.xadd(key, frame(span(), span(span_id="!"), src="2" * 32))
    await site.drain()
    await aged(site, 40)
    in_the_stream = site.settings(keep_stream_seconds=40 * 86_400)
    assert (await retain(in_the_stream, DAYS)).frames == 0
    in_dead_letters = site.settings(dead_letter_seconds=40 * 86_400)
    assert (await retain(in_dead_letters, DAYS)).frames == 1
    (kept,) = await site.fetch("SELECT emitter_id FROM pipeline_frames")
    assert kept["emitter_id"].hex == "2" * 32
    await aged(site, 42)
    assert (await retain(in_dead_letters, DAYS)).frames == 1


async def test_a_dead_letter_of_a_pruned_frame_can_be_retried(site: Site, pool: asyncpg.Pool) -> None:
    await site.execute("ALTER TABLE pipeline_spans ADD CONSTRAINT no_bad CHECK (span_name <> 'bad')")
    await site.redis.xadd(events_key(site.prefix, 0), frame(span(), span(span_name="bad"), src="3" * 32))
    await site.drain()
    before = await accounts(site, pool)
    await aged(site)
    assert (await run(site)).frames == 1
    await site.execute("ALTER TABLE pipeline_spans DROP CONSTRAINT no_bad")
    await retried(site)
    await site.drain()
    assert await count(site, "pipeline_spans") == 2
    assert await accounts(site, pool) == before


async def retried(site: Site) -> None:
    membership = Membership.of(site.settings())
    campaign = Campaign(Retry(site.redis, membership))
    await campaign.run(DeadLetters(site.redis, membership).all())
    assert campaign.sent == 1
    assert await site.redis.xlen(dead_key(site.prefix, 0)) == 0


async def test_replays_that_were_finished_long_ago_are_forgotten(site: Site) -> None:
    await site.execute(
        "INSERT INTO pipeline_replays (replay_id, source, selection, finished_at) VALUES "
        "('00000000-0000-0000-0000-000000000001', 'a', '', now() - interval '40 days'),"
        "('00000000-0000-0000-0000-000000000002', 'b', '', now()),"
        "('00000000-0000-0000-0000-000000000003', 'c', '', NULL);"
        "INSERT INTO pipeline_replay_parts (replay_id, part) SELECT replay_id, 'p' FROM pipeline_replays;"
        "INSERT INTO pipeline_replay_days SELECT replay_id, now(), 'spans', 0, 0, 0, 0, 0 FROM pipeline_replays;"
        "INSERT INTO pipeline_replay_numbers SELECT replay_id, replay_id, 0, '{[1,2)}' FROM pipeline_replays;"
    )
    assert (await run(site, dry_run=True)).replays == 1
    assert (await run(site)).replays == 1
    for table in ("pipeline_replays", "pipeline_replay_parts", "pipeline_replay_days", "pipeline_replay_numbers"):
        assert await count(site, table) == 2


async def test_what_an_earlier_run_left_is_ended(site: Site) -> None:
    """Detached and not dropped; and of a younger day, which somebody detached by hand: that stays."""
    await spans_of(site, 100, 5)
    for days in (100, 5):
        name = f"pipeline_spans_{day(days):%Y%m%d}"
        await site.execute(f"ALTER TABLE pipeline_spans DETACH PARTITION pipeline_parts.{name}")
    await run(site)
    assert await span_days(site) >= {day(5)}
    assert day(100) not in await span_days(site)


async def test_of_two_at_once_one_leaves(site: Site) -> None:
    await spans_of(site, 100)
    async with site.holding(f"SELECT pg_advisory_lock({LOCK})"):
        report = await run(site)
        assert (report.busy, report.dropped, report.left) == (True, [], [])
    await eventually(lambda: _dropped(site))


async def _dropped(site: Site) -> bool:
    return bool((await run(site)).dropped)


async def test_only_the_owner_may(site: Site, logins: PostgresAccess) -> None:
    with pytest.raises(RetentionError, match="only the owner of the tables may drop days of them"):
        await retain(site.settings(database_url=logins.worker), DAYS)


async def test_without_tables(site: Site, database_url: str) -> None:
    with pytest.raises(RetentionError, match="run `tracequeue migrate`"):
        await retain(site.settings(database_url=database_url), DAYS)


async def test_beside_up_it_runs_at_once_and_ends_with_it(site: Site) -> None:
    await spans_of(site, 100)
    with daily(site.settings(retention_days=DAYS), site.database_url):
        await eventually(lambda: _gone(site, 100))
    with daily(site.settings(), site.database_url):
        pass


async def _gone(site: Site, days_ago: int) -> bool:
    return day(days_ago) not in await span_days(site)


async def test_the_doctor_sees_days_that_should_be_gone(site: Site) -> None:
    await spans_of(site, DAYS + 1)
    assert (await finding(site)).found == "TRACEQUEUE_RETENTION_DAYS is not set: every day stays"
    assert (await finding(site, DAYS)).verdict == "ok"
    await spans_of(site, DAYS + 4)
    late = await finding(site, DAYS)
    assert (late.verdict, late.found) == ("warn", f"{day(DAYS + 4)} is still there, {DAYS} days are to stay")
    await run(site)
    assert (await finding(site, DAYS)).verdict == "ok"


async def finding(site: Site, days: int | None = None) -> Any:
    examination = await examine(site.settings(retention_days=days), {})
    (found,) = [one for one in examination.findings if one.check == "retention"]
    return found
