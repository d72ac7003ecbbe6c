"""Bots that have more partitions than the workers: what they send waits, is in the account, and is said."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.fixtures.frames import frame, span
from tests.fixtures.journal import Bot
from tests.fixtures.oracle import Site
from tests.fixtures.servers import free_port
from tracequeue import EmitterSettings
from tracequeue.errors import SettingsError
from tracequeue.keys import events_key
from tracequeue_worker.audit.accounting import Audit, audit_accounts
from tracequeue_worker.database import create_pool
from tracequeue_worker.doctor import Finding, examine
from tracequeue_worker.errors import Fatal
from tracequeue_worker.strays import MOST_PARTITIONS, check_strays, read_strays
from tracequeue_worker.streams import Membership

LONG_AGO = "1790000000000-0"


async def audit(site: Site, spool: Path | None = None) -> Audit:
    """By somebody with one partition; all emitters are silent since ten minutes."""
    await site.execute("UPDATE pipeline_emitters SET last_seen = now() - interval '10 minutes'")
    pool = await create_pool(site.settings(), role="tracequeue_reader", size=1)
    try:
        return await audit_accounts(site.redis, Membership.of(site.settings()), pool, spool=spool)
    finally:
        pool.terminate()


async def other_partitions(site: Site) -> Finding:
    findings = (await examine(site.settings(), {})).findings
    return next(one for one in findings if one.check == "other partitions")


async def spread(bot: Bot) -> Bot:
    """Hand over traces enough for every partition."""
    bot.burst(40)
    await bot.stop(2.0)
    return bot


async def test_frames_that_nobody_reads_are_in_the_account_until_somebody_does(site: Site) -> None:
    bot = await spread(site.bot(partitions=3))
    await site.drain()
    (waiting,) = (await audit(site)).emitters
    assert (waiting.closes, waiting.unaccounted) == (True, 0)
    assert 0 < waiting.in_streams == bot.journal.events - waiting.persisted
    await site.drain(partitions=3)
    (done,) = (await audit(site)).emitters
    assert (done.closes, done.persisted, done.in_flight) == (True, bot.journal.events, 0)


async def test_frames_on_disk_for_a_partition_that_nobody_reads(site: Site, tmp_path: Path) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    bot = await spread(site.bot(nowhere, partitions=3, spool_dir=tmp_path / "spool"))
    await site.redis.xadd(events_key(site.prefix, 0), frame(span()))
    found = {one.emitter_id.hex: one for one in (await audit(site, tmp_path / "spool")).emitters if one.emitter_id}
    assert found[bot.collector.identity.emitter_id].spooled == bot.journal.events


async def test_the_doctor_and_the_worker_say_it(site: Site) -> None:
    membership = Membership.of(site.settings(partitions=2))
    for partition in (1, 2, 5):
        await site.redis.xadd(events_key(site.prefix, partition), frame(span()), id=LONG_AGO)
    assert [one.partition for one in await read_strays(site.redis, membership)] == [2, 5]
    with pytest.raises(Fatal, match=r"2 frames wait in partitions that nobody reads: 2, 5: .*PARTITIONS=6"):
        await check_strays(site.redis, membership)
    found = await other_partitions(site)
    assert (found.verdict, "TRACEQUEUE_PARTITIONS=6" in found.cure) == ("fail", True)


async def test_what_was_settled_before_the_number_was_lowered_is_history(site: Site) -> None:
    await site.redis.xadd(events_key(site.prefix, 1), frame(span(), src=uuid4().hex), id=LONG_AGO)
    await site.drain(partitions=2, keep_stream_seconds=10**9)
    assert await site.redis.xlen(events_key(site.prefix, 1))
    assert (await other_partitions(site)).verdict == "ok"
    assert (await audit(site)).closes


async def test_what_came_a_moment_ago_may_still_be_read(site: Site) -> None:
    await site.redis.xadd(events_key(site.prefix, 1), frame(span()))
    assert (await other_partitions(site)).verdict == "ok"


async def test_no_bot_has_more_partitions_than_are_looked_for() -> None:
    EmitterSettings(partitions=MOST_PARTITIONS)
    with pytest.raises((SettingsError, ValueError)):
        EmitterSettings(partitions=MOST_PARTITIONS + 1)
