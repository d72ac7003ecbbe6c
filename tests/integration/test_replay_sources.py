"""Replays from dead letters, from a spool, and of some traces only, with real bots, workers and servers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest
from redis.asyncio import Redis

from tests.fixtures.command import Command
from tests.fixtures.frames import ended, frame, span, started
from tests.fixtures.journal import Bot
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.postgres import database
from tracequeue.keys import dead_key, events_key
from tracequeue.outgoing import Outgoing
from tracequeue.spool.records import FILE_HEAD, encode
from tracequeue_worker.bounds import Bounds
from tracequeue_worker.decoder import Decoder, TimeWindow
from tracequeue_worker.records import DAY
from tracequeue_worker.redis_client import command_client
from tracequeue_worker.replay.dead_letters import DeadLetterSource
from tracequeue_worker.replay.models import ReplayReport
from tracequeue_worker.replay.replayer import Replayer
from tracequeue_worker.replay.selection import Selection
from tracequeue_worker.replay.source import Source
from tracequeue_worker.replay.spool import SpoolSource
from tracequeue_worker.replay.store import DatabaseStore
from tracequeue_worker.replay.stream import StreamSource
from tracequeue_worker.replay.target import Target
from tracequeue_worker.replay.wanted_traces import traces_in
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership

TOO_EARLY = {"past_limit": (datetime.now(UTC) + timedelta(days=2)).date()}
"""The setting of a worker that refuses all events of now."""
NOBODY = "redis://127.0.0.1:9/0"

Making: TypeAlias = Callable[[Redis, str, Membership], Source]
"""Makes a source of a client, the URL of its server, and the streams."""


@asynccontextmanager
async def replaying(
    site: Site, url: str, making: Making, batch_rows: int = 5_000, **options: Any
) -> AsyncIterator[Replayer]:
    settings = site.settings(database_url=url, batch_rows=batch_rows)
    async with command_client(site.redis_url) as client, DatabaseStore.open(Target(settings, "--to")) as store:
        yield Replayer(making(client, site.redis_url, Membership.of(settings)), store, settings, **options)


async def replay(site: Site, url: str, making: Making, **options: Any) -> ReplayReport:
    async with replaying(site, url, making, **options) as replayer:
        return await replayer.run()


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def spool(folder: Path) -> Making:
    return lambda _client, _url, membership: SpoolSource(folder, membership)


@pytest.fixture
def target_url(postgres_url: str, templates: dict[str, str]) -> Iterator[str]:
    """Another database with all migrations applied."""
    with database(postgres_url, templates[postgres_url]) as url:
        yield url


async def fetch(url: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def keys(url: str) -> list[str]:
    """What is stored, by its keys."""
    spans = await fetch(url, "SELECT trace_id::text || span_id AS key FROM pipeline_spans")
    traces = await fetch(url, "SELECT trace_id::text || coalesce(status, '') AS key FROM pipeline_traces")
    return sorted(row["key"] for row in (*spans, *traces))


async def redis_state(site: Site) -> list[Any]:
    """What another reader of Redis could notice, but for how long a consumer is idle."""
    stream, dead = events_key(site.prefix, 0), dead_key(site.prefix, 0)
    groups = await site.redis.xinfo_groups(stream)
    return [groups, await site.redis.xrange(stream), await site.redis.xrange(dead)]


async def all_dead(site: Site, traces: int) -> Bot:
    """A bot all of whose events became dead letters."""
    bot = site.bot()
    bot.burst(traces)
    await bot.stop()
    await site.drain(**TOO_EARLY)
    assert len(await site.dead_letters()) == bot.journal.events
    return bot


async def test_dead_letters_into_the_database_that_refused_them(site: Site, command: Command) -> None:
    """The account closes, and a retry afterwards stores nothing: it only takes the letters away."""
    bot = await all_dead(site, 5)
    before = await redis_state(site)
    report = await replay(site, site.database_url, DeadLetterSource)
    assert report.complete
    assert (report.frames, report.events, report.written) == (25, 25, 25)
    assert report.dead == {}
    assert await redis_state(site) == before
    assert [row["dead"] for row in await site.fetch("SELECT dead FROM pipeline_frames WHERE dead <> '[]'")] == []
    stored = await keys(site.database_url)
    assert command("dlq", "retry", "--all", "--json").document["retried"] == bot.journal.events
    await site.drain()
    assert await keys(site.database_url) == stored
    await site.assert_account_closes(bot)
    audit = command("audit", "--json")
    assert (audit.code, audit.document["closes"]) == (0, True)


async def test_dead_letters_into_a_fresh_database_hide_nothing(site: Site, target_url: str) -> None:
    """Only one event of a frame was refused: it alone is stored, and no entry says that the others are."""
    old = time.time_ns() // 1000 - 3 * DAY
    await site.redis.xadd(events_key(site.prefix, 0), dict(frame(span(), span(start_time=old, end_time=old), span())))
    await site.drain(past_limit=(datetime.now(UTC) - timedelta(days=1)).date())
    report = await replay(site, target_url, DeadLetterSource)
    assert (report.events, report.written) == (1, 1)
    assert await fetch(target_url, "SELECT 1 FROM pipeline_frames") == []
    assert len(await keys(target_url)) == 1
    whole = await replay(site, target_url, StreamSource)
    assert (whole.written, whole.present) == (2, 1)
    assert len(await fetch(target_url, "SELECT 1 FROM pipeline_frames")) == 1


async def test_letters_that_are_refused_again_are_told_of_and_stay(site: Site, target_url: str) -> None:
    await site.redis.xadd(events_key(site.prefix, 0), dict(frame(span(span_id="short"), b"[]")))
    await site.drain()
    report = await replay(site, target_url, DeadLetterSource)
    assert (report.written, report.dead) == (0, {"schema": 2})
    assert len(await site.dead_letters()) == 2
    assert await keys(target_url) == []


async def test_dead_letters_by_the_time_of_the_refused_frame(site: Site, target_url: str) -> None:
    ids = [await site.redis.xadd(events_key(site.prefix, 0), dict(frame(b"[]"))) for _ in range(3)]
    await site.drain()
    bounds = Bounds.parse(ids[1].decode(), None)
    report = await replay(
        site, target_url, lambda *known: DeadLetterSource(*known, bounds), selection=Selection(bounds)
    )
    assert (report.frames, report.dead) == (2, {"schema": 2})


async def test_a_spool_while_redis_is_away_and_then_the_bot_sends_it(site: Site, tmp_path: Path) -> None:
    bot = site.bot(NOBODY, spool_dir=tmp_path)
    bot.burst(20)
    await eventually(lambda: bot.collector.stats().spooled == bot.journal.events)
    before = contents(tmp_path)
    report = await replay(site, site.database_url, spool(tmp_path))
    assert report.complete
    assert (report.events, report.written) == (bot.journal.events, bot.journal.events)
    assert contents(tmp_path) == before
    await bot.stop(1.0)
    stored = await keys(site.database_url)
    later = site.bot(spool_dir=tmp_path)
    await later.collector.start()
    await eventually(lambda: not names(tmp_path))
    await later.stop()
    await site.drain()
    assert await keys(site.database_url) == stored
    await site.assert_account_closes(bot, later)


async def test_a_spool_that_is_read_twice(site: Site, target_url: str, tmp_path: Path) -> None:
    bot = site.bot(NOBODY, spool_dir=tmp_path)
    bot.burst(10)
    await eventually(lambda: bot.collector.stats().spooled == bot.journal.events)
    first = await replay(site, target_url, spool(tmp_path))
    second = await replay(site, target_url, spool(tmp_path))
    assert (first.written, second.written, second.present) == (50, 0, 50)
    assert first.days == second.days
    await bot.stop(1.0)


def written_spool(folder: Path, site: Site, frames: int) -> Making:
    """A spool with frames of one emitter, three spans in each, in two segments."""
    key = events_key(site.prefix, 0)
    made = [dict(frame(span(), span(), span(), src="d" * 32, seq=seq + 1)) for seq in range(frames)]
    records = [encode(Outgoing(key, seq, 3, fields)) for seq, fields in enumerate(made, 1)]
    for name, part in (("a", records[: frames // 2]), ("b", records[frames // 2 :])):
        (folder / f"{name}.spool").write_bytes(FILE_HEAD + b"".join(part))
    return spool(folder)


async def refused_events(site: Site, frames: int) -> Making:
    """Dead letters of frames of three spans each."""
    for seq in range(frames):
        fields = frame(span(), span(), span(), src="d" * 32, seq=seq + 1)
        await site.redis.xadd(events_key(site.prefix, 0), dict(fields))
    await site.drain(**TOO_EARLY)
    return DeadLetterSource


@pytest.mark.parametrize("kind", ["spool", "dead letters"])
async def test_interrupted_it_goes_on_and_its_figures_are_of_the_whole(
    site: Site, target_url: str, tmp_path: Path, kind: str
) -> None:
    making = written_spool(tmp_path, site, 100) if kind == "spool" else await refused_events(site, 100)
    async with replaying(site, target_url, making, batch_rows=10) as replayer:
        running = asyncio.create_task(replayer.run())
        await eventually(lambda: replayer.progress.events)
        replayer.stop()
        interrupted = await running
    assert not interrupted.finished
    assert 0 < interrupted.written < 300
    stored = len(await keys(target_url))
    assert stored == interrupted.written
    report = await replay(site, target_url, making)
    assert (report.resumed, report.finished, report.complete) == (True, True, True)
    assert (report.events, report.written, report.present) == (300, 300, 0)
    assert len(await keys(target_url)) == 300


def of(pipeline: str, number: int) -> list[dict[str, Any]]:
    """A trace of a pipeline: its start, two spans and its end."""
    trace = started(pipeline_name=pipeline, telegram_id=number)
    shared = {name: trace[name] for name in ("trace_id", "start_time", "pipeline_name", "telegram_id")}
    return [trace, span(trace_id=trace["trace_id"]), span(trace_id=trace["trace_id"]), ended(**shared)]


async def test_only_the_traces_of_a_pipeline(site: Site, target_url: str) -> None:
    mine, others = of("coach", 1), of("support", 2)
    stray = span()
    key, src = events_key(site.prefix, 0), "b" * 32
    for seq, events in enumerate([(mine[0], others[0], mine[1]), (others[1], others[2], stray), mine[2:], others[3:]]):
        await site.redis.xadd(key, dict(frame(*events, src=src, seq=seq + 1)))
    selection = Selection(pipeline="coach")
    report, shortfalls = await replay_chosen(site, target_url, selection)
    assert (report.frames, report.events, report.written, report.left_out) == (4, 4, 4, 5)
    assert {row["pipeline_name"] for row in await fetch(target_url, "SELECT * FROM pipeline_traces")} == {"coach"}
    assert not await fetch(target_url, "SELECT seq FROM pipeline_frames")  # not all of their frames is stored
    assert len(shortfalls) == 1
    assert shortfalls[0].startswith("1 trace has neither a start nor an end")
    whole = await replay(site, target_url, StreamSource)
    assert (whole.written, whole.present) == (5 + 4, 4)
    assert len(await fetch(target_url, "SELECT 1 FROM pipeline_frames")) == 4 + 1


async def test_spans_in_bounds_of_a_trace_that_began_before(site: Site, target_url: str) -> None:
    key = events_key(site.prefix, 0)
    mine = of("coach", 1)
    ids = [await site.redis.xadd(key, dict(frame(event))) for event in mine]
    selection = Selection(Bounds.parse(ids[1].decode(), ids[3].decode()), telegram_id=1)
    report, shortfalls = await replay_chosen(site, target_url, selection)
    assert (report.written, shortfalls) == (2, [])
    assert len(await fetch(target_url, "SELECT 1 FROM pipeline_spans")) == 2
    assert await fetch(target_url, "SELECT 1 FROM pipeline_traces") == []


async def replay_chosen(site: Site, url: str, selection: Selection) -> tuple[ReplayReport, list[str]]:
    """As the command does it. What comes after the first reading is for another replay."""
    settings = site.settings(database_url=url)
    async with command_client(site.redis_url) as client, DatabaseStore.open(Target(settings, "--to")) as store:
        membership = Membership.of(settings)
        source = StreamSource(client, site.redis_url, membership, selection.bounds)
        await source.parts()
        decoder = Decoder(TimeWindow.of(WorkerSettings()))
        with closing(await traces_in(selection, decoder, StreamSource(client, site.redis_url, membership))) as wanted:
            await site.redis.xadd(events_key(site.prefix, 0), dict(frame(*of("coach", 1))))
            report = await Replayer(source, store, settings, selection=selection, wanted=wanted.take).run()
            return report, wanted.shortfalls()
