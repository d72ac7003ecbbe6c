"""A replay of the live streams: what comes out is what the workers stored, once, whatever was there before."""

from collections.abc import Callable

from tests.fixtures.frames import frame, ndjson, span
from tests.fixtures.oracle import Site
from tests.fixtures.replays import contents, execute, fetch, fill, rehearsing, replay, replaying
from tracequeue.keys import events_key
from tracequeue_worker.bounds import Bounds
from tracequeue_worker.replay.checkpoint import Figures
from tracequeue_worker.replay.progress import Progress

PARTITIONS_DROPPED = """
DO $$
DECLARE part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'pipeline_spans'::regclass LOOP
        EXECUTE format('DROP TABLE %s', part);
    END LOOP;
END $$
"""
EVERYTHING_THERE = """
SELECT oid, relname, pg_relation_size(oid) FROM pg_class WHERE relname LIKE '%pipeline%' OR relnamespace = (
    SELECT oid FROM pg_namespace WHERE nspname = 'pipeline_parts'
) ORDER BY oid
"""
VERSIONS = """
SELECT tableoid::text, xmin::text, ctid::text FROM pipeline_frames
UNION ALL SELECT tableoid::text, xmin::text, ctid::text FROM pipeline_spans
UNION ALL SELECT tableoid::text, xmin::text, ctid::text FROM pipeline_traces
ORDER BY 1, 2, 3
"""


class Stopping(Progress):
    """Stops its replay behind the first batch."""

    stop: Callable[[], None]

    def add(self, found: Figures) -> None:
        super().add(found)
        self.stop()


async def filled(site: Site) -> None:
    """Stored by a worker, and still in the stream."""
    await fill(site)
    await site.drain()


async def test_an_empty_database_gets_what_the_workers_stored(site: Site, target_url: str) -> None:
    await filled(site)
    report = await replay(site, target_url)
    assert report.complete
    assert not report.resumed
    assert (report.events, report.written, report.present, report.dead) == (250, 250, 0, {})
    assert sum(day.source_rows for day in report.days) == 250
    assert await contents(target_url) == await contents(site.database_url)


async def test_twice_it_finds_everything_there_and_rewrites_nothing(site: Site, target_url: str) -> None:
    await filled(site)
    first = await replay(site, target_url)
    before = await fetch(target_url, VERSIONS)
    second = await replay(site, target_url)
    assert second.complete
    assert second.replay_id != first.replay_id
    assert (second.written, second.present) == (0, 250)
    assert [day.target_digest for day in second.days] == [day.target_digest for day in first.days]
    assert await fetch(target_url, VERSIONS) == before


async def test_rows_that_were_lost_come_back_though_the_ledger_knows_their_frames(site: Site) -> None:
    await filled(site)
    whole = await contents(site.database_url)
    await site.execute(PARTITIONS_DROPPED)
    await site.execute("DELETE FROM pipeline_traces WHERE trace_id < '80000000-0000-0000-0000-000000000000'")
    report = await replay(site, site.database_url)
    assert report.complete
    assert report.written >= 150
    assert report.written + report.present == 250
    assert await contents(site.database_url) == whole


async def test_what_a_mended_schema_takes_is_a_dead_letter_no_more(site: Site) -> None:
    await site.execute("ALTER TABLE pipeline_spans ADD CONSTRAINT no_step CHECK (span_name <> 'step:3')")
    await filled(site)
    dead = len(await site.dead_letters())
    assert dead
    refused = await replay(site, site.database_url)
    assert refused.dead == {"store:23514": dead}
    assert not refused.complete
    await site.execute("ALTER TABLE pipeline_spans DROP CONSTRAINT no_step")
    mended = await replay(site, site.database_url)
    assert mended.complete
    assert (mended.written, mended.dead) == (dead, {})
    assert not await site.fetch("SELECT FROM pipeline_frames WHERE dead <> '[]'")


async def test_what_no_store_takes_is_said_and_marked(site: Site, target_url: str) -> None:
    stream = events_key(site.prefix, 0)
    src = "1" * 32
    await site.redis.xadd(stream, frame(span(), span(status="odd"), span(), src=src))
    await site.redis.xadd(stream, {"v": "9", "body": "?"})
    await site.redis.xadd(stream, {"body": ndjson(span())})
    await site.redis.xadd(stream, frame(span(), src=src))  # another frame under the number of the first
    await site.drain()
    report = await replay(site, target_url)
    assert report.dead == {"schema": 1, "unknown_version": 1, "seq_conflict": 1}
    assert (report.frames, report.events, report.written, report.present) == (4, 6, 3, 0)
    assert report.complete  # nobody asks for what could never be stored
    assert await contents(target_url) == await contents(site.database_url)
    assert len(await fetch(target_url, "SELECT FROM pipeline_conflicts")) == 1


async def test_a_frame_that_was_delivered_twice_counts_once_in_the_comparison(site: Site, target_url: str) -> None:
    stream = events_key(site.prefix, 0)
    twice, between = frame(span(), span()), frame(span())
    for fields in (twice, twice, between, twice):
        await site.redis.xadd(stream, fields)
    report = await replay(site, target_url, changes={"batch_rows": 3})
    assert (report.frames, report.events, report.written, report.present) == (4, 7, 3, 4)
    assert [(day.source_rows, day.target_rows) for day in report.days] == [(3, 3)]
    assert report.complete


async def test_rows_come_back_also_behind_another_frame_with_their_number(site: Site, target_url: str) -> None:
    stream, src = events_key(site.prefix, 0), "1" * 32
    known, other = frame(span(), span(), src=src), frame(span(), src=src)
    await site.redis.xadd(stream, known)
    await replay(site, target_url)
    await execute(target_url, "DELETE FROM pipeline_spans")
    await site.redis.delete(stream)
    for fields in (other, known):
        await site.redis.xadd(stream, fields)
    report = await replay(site, target_url)
    assert (report.written, report.dead) == (2, {"seq_conflict": 1})
    assert [(day.source_rows, day.target_rows) for day in report.days] == [(2, 2)]
    assert report.complete


async def test_every_partition_is_read(site: Site, target_url: str) -> None:
    bot = site.bot(partitions=4)
    bot.burst(40)
    await bot.stop()
    await site.drain(partitions=4)
    report = await replay(site, target_url, changes={"partitions": 4})
    assert report.complete
    assert report.written == 200
    assert len(await fetch(target_url, "SELECT FROM pipeline_replay_parts")) > 1
    assert await contents(target_url) == await contents(site.database_url)


async def test_stopped_it_goes_on_where_it_is_and_counts_as_one(site: Site, target_url: str) -> None:
    await filled(site)
    settings = site.settings(database_url=target_url, batch_rows=20)
    progress = Stopping()
    async with replaying(settings, progress=progress) as replayer:
        progress.stop = replayer.stop
        stopped = await replayer.run()
    assert not stopped.finished
    assert 0 < stopped.events < 250
    resumed = await replay(site, target_url)
    assert resumed.resumed
    assert resumed.replay_id == stopped.replay_id
    assert (resumed.events, resumed.written, resumed.present) == (250, 250, 0)
    assert resumed.complete
    assert await contents(target_url) == await contents(site.database_url)


async def test_between_bounds_nothing_else_is_read(site: Site, target_url: str) -> None:
    stream = events_key(site.prefix, 0)
    ids = [await site.redis.xadd(stream, frame(span(), src="2" * 32, seq=number)) for number in range(1, 6)]
    bounds = Bounds.parse(ids[1].decode(), ids[3].decode())
    report = await replay(site, target_url, bounds)
    assert report.complete
    assert (report.frames, report.written) == (2, 2)
    assert report.gaps == []


async def test_what_was_trimmed_is_said(site: Site, target_url: str) -> None:
    await filled(site)
    await site.redis.xtrim(events_key(site.prefix, 0), maxlen=2, approximate=False)
    report = await replay(site, target_url)
    assert not report.complete
    assert [gap.cause for gap in report.gaps] == ["trimmed"]
    (sentence,) = report.shortfalls
    assert "trimmed" in sentence
    assert "--file" in sentence
    again = await replay(site, site.database_url)
    assert again.complete, again  # that database has what was trimmed


async def test_trimmed_entries_that_brought_a_frame_once_more_are_not_missed(site: Site, target_url: str) -> None:
    stream, event = events_key(site.prefix, 0), span()
    for number in (1, 2, 2, 2, 3):
        await site.redis.xadd(stream, frame(event, src="4" * 32, seq=number))
    await site.drain()
    await site.redis.xtrim(stream, maxlen=1, approximate=False)
    own = await replay(site, site.database_url)
    assert own.complete, own
    assert (await replay(site, target_url)).shortfalls


async def test_what_was_trimmed_before_the_bounds_is_not_missed(site: Site, target_url: str) -> None:
    stream = events_key(site.prefix, 0)
    ids = [await site.redis.xadd(stream, frame(span(), src="3" * 32, seq=number)) for number in range(1, 6)]
    await site.redis.xtrim(stream, maxlen=4, approximate=False)
    later = await replay(site, target_url, Bounds.parse(ids[2].decode(), None))
    assert later.complete
    assert later.written == 3
    earlier = await replay(site, target_url, Bounds.parse("2001-01-01", None))
    assert earlier.shortfalls
    assert not earlier.complete


async def test_frames_of_which_nothing_is_wanted_were_read_all_the_same(site: Site, target_url: str) -> None:
    await fill(site)
    report = await replay(site, target_url, changes={"batch_rows": 20}, wanted=lambda _: None)
    assert report.complete
    assert report.finished
    assert (report.frames, report.events, report.written, report.gaps) == (50, 0, 0, [])
    assert report.left_out == 250
    assert not await fetch(target_url, "SELECT FROM pipeline_frames")


async def test_it_takes_the_time_that_the_rate_asks_for(site: Site, target_url: str) -> None:
    await filled(site)
    report = await replay(site, target_url, rate=500.0)
    assert report.written == 250
    assert report.seconds >= 0.4


async def test_a_dry_run_says_what_is_new_and_touches_nothing(site: Site, target_url: str) -> None:
    await filled(site)
    before = await fetch(target_url, EVERYTHING_THERE)
    async with rehearsing(site, target_url) as rehearsal:
        report = await rehearsal.run()
    assert (report.written, report.present, report.replay_id) == (250, 0, None)
    assert await fetch(target_url, EVERYTHING_THERE) == before
    async with rehearsing(site, site.database_url) as rehearsal:
        known = await rehearsal.run()
    assert (known.written, known.present) == (0, 250)
    assert {(day.kind, day.source_rows, day.target_rows) for day in known.days} == {
        ("starts", 50, 50), ("spans", 150, 150), ("ends", 50, 50),
    }  # fmt: skip
