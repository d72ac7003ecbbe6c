"""The recipes of docs/replay.md: their lines are run as they stand there, and what was emitted is each stored once."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.fixtures.frames import ended, frame, span, started
from tests.fixtures.journal import Bot, Journal
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.postgres import EMPTY, database, drop
from tests.fixtures.recipes import Shell, blocks, titles
from tests.fixtures.replays import fetch
from tests.fixtures.worker_process import ended as exit_code
from tests.fixtures.worker_process import worker_process
from tracequeue.keys import dead_key, events_key

REBUILD = "Rebuild after a lost database"
MOVE = "Move to a new server while workers run"
MEND = "Fix a bug in the schema and replay the dead letters"
ARCHIVED = "Last month's archive beside this month's stream"
DAYS_AGO = 3
CONSTRAINT = "ALTER TABLE pipeline_spans ADD CONSTRAINT spans_of_the_trainer CHECK (span_name <> 'agent:cook')"


@pytest.fixture
def new_url(postgres_url: str) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    with database(postgres_url, EMPTY) as url:
        yield url


@pytest.fixture
def shell(site: Site, new_url: str, tmp_path: Path) -> Shell:
    return Shell(
        tmp_path,
        TRACEQUEUE_REDIS_URL=site.redis_url,
        TRACEQUEUE_DATABASE_URL=site.database_url,
        TRACEQUEUE_PREFIX=site.prefix,
        TRACEQUEUE_MIN_IDLE_MS="1000",
        OLD=site.database_url,
        NEW=new_url,
        ARCHIVE=str(tmp_path / "archive"),
        BACKUP=str(tmp_path / "backup"),
        DAY=str(datetime.now(UTC).date() - timedelta(days=DAYS_AGO - 1)),
    )


def complete(answer: Any) -> bool:
    return bool(answer.out.splitlines()[-1] == "complete: all that the source holds is in the target")


def closes(answer: Any) -> bool:
    return "the account closes" in answer.out


async def trimmed(site: Site) -> bool:
    """Whether workers have trimmed anything."""
    key = events_key(site.prefix, 0)
    if not await site.redis.exists(key):
        return False
    facts = await site.redis.xinfo_stream(key)
    return int(facts["entries-added"]) > int(facts["length"])


async def spans(url: str) -> int:
    (row,) = await fetch(url, "SELECT count(*) FROM pipeline_spans")
    return int(row["count"])


async def emit(
    site: Site, journal: Journal, emitter_id: UUID, seq: int, *, days_ago: int = 0, entry_id: str = "*"
) -> None:
    """A frame of a trace with three spans, written down in a journal; `entry_id` is when Redis takes it."""
    start = int((datetime.now(UTC) - timedelta(days=days_ago)).timestamp()) * 1_000_000
    trace = started(start_time=start)
    shared = {"trace_id": trace["trace_id"], "start_time": start}
    steps = [span(**shared, end_time=start + 5, output_data={"number": number}) for number in range(3)]
    journal.traces.add(UUID(trace["trace_id"]))
    journal.spans |= {step["span_id"]: (step["span_name"], step["output_data"]) for step in steps}
    events = [trace, *steps, ended(**shared, end_time=start + 9, span_count=3)]
    account = b'{"emitted":%d}' % (seq * len(events))
    fields: Any = frame(*events, src=emitter_id.hex, seq=seq, acct=account)
    await site.redis.xadd(events_key(site.prefix, 0), fields, id=entry_id)


async def test_rebuild_after_a_lost_database(site: Site, shell: Shell, new_url: str, tmp_path: Path) -> None:
    new, bot = replace(site, database_url=new_url), site.bot()
    filling, checking = blocks(REBUILD)
    short = {"TRACEQUEUE_ARCHIVE_DIR": str(tmp_path / "archive"), "TRACEQUEUE_KEEP_STREAM_SECONDS": "0"}
    async with bot.emitting():
        async with worker_process(site, **short) as worker:
            await eventually(lambda: trimmed(site))
            server, _, name = site.database_url.rpartition("/")
            drop(f"{server}/postgres", name)
            stored = bot.journal.events
            await eventually(lambda: bot.journal.events > stored + 100)
            worker.send_signal(signal.SIGTERM)
            await exit_code(worker)
        assert all(map(complete, await shell.run(filling)))
        async with worker_process(new, **short):
            (audit,) = await shell.run(checking)
            assert closes(audit)
    async with worker_process(new, **short):
        await new.assert_account_closes(bot)


async def test_move_to_a_new_server_while_workers_run(site: Site, shell: Shell, new_url: str) -> None:
    new, bot = replace(site, database_url=new_url), site.bot()
    copying, ending = blocks(MOVE)
    history = uuid4()
    for seq in range(1, 31):
        await emit(site, bot.journal, history, seq, days_ago=DAYS_AGO)
    async with worker_process(site) as old:
        await eventually(site.settled)
        await site.redis.xtrim(events_key(site.prefix, 0), maxlen=0, approximate=False)
        async with bot.emitting():
            *_, files, stream = await shell.run(copying)
            assert complete(files)
            assert complete(stream)
            copied, stored = await spans(new_url), await spans(site.database_url)
            await eventually(lambda: _more(site.database_url, stored))
            async with worker_process(new):
                await eventually(lambda: _more(new_url, copied))
                old.send_signal(signal.SIGTERM)
                assert await exit_code(old) == 0
                last, audit, *_, differences = await shell.run(ending)
                assert complete(last)
                assert closes(audit)
                assert differences.out == ""
                assert bot.journal.events > stored
                await _compare(shell, new, bot)


async def _more(url: str, before: int) -> bool:
    return await spans(url) > before


async def _compare(shell: Shell, new: Site, bot: Bot) -> None:
    """The bot goes away, and everything that it ever said is in the new database."""
    bot.enough()
    await bot.stop()
    await new.assert_account_closes(bot)


async def test_fix_a_bug_in_the_schema_and_replay_the_dead_letters(site: Site, shell: Shell) -> None:
    replaying, cleaning = blocks(MEND)
    await site.execute(CONSTRAINT)
    trace, names = started(), ("agent:cook", "agent:trainer", "agent:cook")
    shared = {name: trace[name] for name in ("trace_id", "start_time")}
    steps = [span(span_name=name, trace_id=trace["trace_id"]) for name in names]
    fields: Any = frame(trace, *steps, ended(**shared, span_count=3), src=uuid4().hex)
    await site.redis.xadd(events_key(site.prefix, 0), fields)
    assert (await site.drain()).dead_letters == 2

    listed, _, rehearsed, replayed, audited = await shell.run(replaying)
    assert "store:23514" in listed.out
    assert "nothing was written" in rehearsed.out
    assert complete(replayed)
    assert closes(audited)
    assert await _names(site) == sorted(names)
    (ledger,) = await site.fetch("SELECT events, dead FROM pipeline_frames")
    assert (ledger["events"], ledger["dead"]) == (5, "[]")
    assert await site.redis.xlen(dead_key(site.prefix, 0)) == 2

    await shell.run(cleaning)
    assert (await site.drain()).dead_letters == 0
    assert await site.redis.xlen(dead_key(site.prefix, 0)) == 0
    assert await _names(site) == sorted(names)
    assert all(map(closes, await shell.run("tracequeue audit\n")))


async def _names(site: Site) -> list[str]:
    return [row["span_name"] for row in await site.fetch("SELECT span_name FROM pipeline_spans ORDER BY 1")]


async def test_last_months_archive_beside_this_months_stream(
    site: Site, shell: Shell, new_url: str, tmp_path: Path
) -> None:
    (loading,) = blocks(ARCHIVED)
    wanted, emitter_id, seq = Journal(), uuid4(), 0
    for month, journal in ((9, Journal()), (10, wanted), (11, wanted)):
        for day in range(1, 29):
            seq += 1
            taken = int(datetime(2026, month, day, tzinfo=UTC).timestamp() * 1000)
            await emit(site, journal, emitter_id, seq, entry_id=f"{taken}-0")
    await site.drain(archive_dir=tmp_path / "archive", keep_stream_seconds=10**9)
    kept = int(datetime(2026, 10, 20, tzinfo=UTC).timestamp() * 1000)
    await site.redis.xtrim(events_key(site.prefix, 0), minid=kept, approximate=False)

    assert all(map(complete, await shell.run(loading)))
    rows = await fetch(new_url, "SELECT span_id FROM pipeline_spans")
    assert sorted(row["span_id"] for row in rows) == sorted(wanted.spans)
    (traces,) = await fetch(new_url, "SELECT count(*), count(status) AS ended FROM pipeline_traces")
    assert (traces["count"], traces["ended"]) == (len(wanted.traces), len(wanted.traces))


def test_every_recipe_is_run() -> None:
    assert titles() == [REBUILD, MOVE, MEND, ARCHIVED]
