"""A stream that is trimmed, emptied or made anew before, while or after a replay reads it: what was not met is said."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.fixtures.frames import frame, span
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.replays import contents, execute, fill, rehearsing, replay, replaying
from tracequeue.keys import events_key
from tracequeue_worker.bounds import Bounds
from tracequeue_worker.replay.checkpoint import Figures
from tracequeue_worker.replay.models import ReplayReport
from tracequeue_worker.replay.progress import Progress
from tracequeue_worker.retention.run import retain

SMALL = {"batch_rows": 20}
LONG_AGO = Bounds.parse("2001-01-01", None)


class Stopping(Progress):
    """Stops its replay behind the first batch."""

    stop: Callable[[], None]

    def add(self, found: Figures) -> None:
        super().add(found)
        self.stop()


@pytest.fixture
async def stream(site: Site) -> str:
    """The stream of a site, with a hundred and fifty frames, each of another emitter: no number tells of another."""
    for _ in range(150):
        await fill(site, 1)
    await site.drain()
    return events_key(site.prefix, 0)


@asynccontextmanager
async def begun(
    site: Site, database_url: str, bounds: Bounds | None = None
) -> AsyncIterator[asyncio.Task[ReplayReport]]:
    """A slow replay that has read something and not all."""
    progress = Progress()
    settings = site.settings(database_url=database_url, **SMALL)
    async with replaying(settings, bounds, progress=progress, rate=200.0) as replayer:
        work = asyncio.create_task(replayer.run())
        await eventually(lambda: progress.events)
        yield work


async def stopped(site: Site, database_url: str) -> int:
    """How many frames a replay read until it was stopped."""
    progress = Stopping()
    async with replaying(site.settings(database_url=database_url, **SMALL), progress=progress) as replayer:
        progress.stop = replayer.stop
        return (await replayer.run()).frames


@pytest.mark.parametrize("bounds", [None, LONG_AGO])
@pytest.mark.parametrize("kept", [0, 1])
async def test_trimmed_while_it_is_read(
    site: Site, stream: str, target_url: str, kept: int, bounds: Bounds | None
) -> None:
    async with begun(site, target_url, bounds) as work:
        await site.redis.xtrim(stream, maxlen=kept, approximate=False)
        report = await work
    assert report.frames < 150
    assert report.complete == (bounds is not None and kept == 1)  # between bounds nobody counted them
    if not bounds:
        assert f"{150 - report.frames} entries are no more" in report.shortfalls[0]


@pytest.mark.parametrize("bounds", [None, LONG_AGO])
async def test_emptied_while_it_is_read(site: Site, stream: str, target_url: str, bounds: Bounds | None) -> None:
    async with begun(site, target_url, bounds) as work:
        await site.redis.delete(stream)
        report = await work
    assert report.frames < 150
    assert report.shortfalls
    assert not report.complete


async def test_trimmed_while_it_is_read_into_a_database_that_knows_it(site: Site, stream: str) -> None:
    async with begun(site, site.database_url) as work:
        await site.redis.xtrim(stream, maxlen=0, approximate=False)
        report = await work
    assert report.frames < 150
    assert report.complete


async def test_what_was_read_before_it_was_trimmed_is_not_missed(site: Site, stream: str, target_url: str) -> None:
    read = await stopped(site, target_url)
    await site.redis.xtrim(stream, maxlen=150 - read, approximate=False)
    report = await replay(site, target_url)
    assert report.resumed
    assert report.frames == 150
    assert report.complete


async def test_a_database_that_was_emptied_meanwhile_is_filled_from_the_beginning(
    site: Site, stream: str, target_url: str
) -> None:
    assert await stopped(site, target_url) < 150
    await execute(target_url, "TRUNCATE pipeline_spans, pipeline_traces, pipeline_frames, pipeline_emitters")
    report = await replay(site, target_url)
    assert report.complete
    assert not report.resumed
    assert report.written == 750
    assert await contents(target_url) == await contents(site.database_url)


@pytest.mark.parametrize("more", [0, 2])
async def test_made_anew_while_it_is_interrupted(site: Site, stream: str, target_url: str, more: int) -> None:
    read = await stopped(site, target_url)
    await site.redis.delete(stream)
    for _ in range(more):
        await fill(site, 1)
    report = await replay(site, target_url)
    assert report.frames == read + more
    assert not report.complete
    assert "made anew" in report.shortfalls[0]


async def test_what_came_behind_the_last_entry_stands_for_none_that_is_gone(
    site: Site, stream: str, target_url: str
) -> None:
    """Workers of the new database are at work already: what they store is no proof of what was trimmed."""
    await site.redis.xtrim(stream, maxlen=100, approximate=False)
    async with begun(site, target_url) as work:
        for _ in range(60):
            await fill(site, 1)
        await site.drain(database_url=target_url)
        report = await work
    assert not report.complete
    assert "50 entries are no more" in report.shortfalls[0]
    assert "knows 0 frames" in report.shortfalls[0]


async def test_what_was_pruned_and_came_again_counts_once(site: Site, target_url: str) -> None:
    await fill(site, 5)
    await replay(site, target_url)
    await execute(target_url, "UPDATE pipeline_frames SET committed_at = now() - interval '40 days'")
    assert (await retain(site.settings(database_url=target_url), 7)).frames == 5
    await replay(site, target_url)
    await fill(site, 5)
    await site.redis.xtrim(events_key(site.prefix, 0), maxlen=0, approximate=False)
    for report in (await replay(site, target_url), await rehearsed(site, target_url)):
        assert "10 entries are no more" in report.shortfalls[0]
        assert "knows 5 frames" in report.shortfalls[0]


async def test_a_dry_run_does_not_miss_what_it_read(site: Site, stream: str, target_url: str) -> None:
    assert (await rehearsed(site, target_url)).shortfalls == []
    await site.redis.xtrim(stream, maxlen=149, approximate=False)
    assert "1 entry is no more" in (await rehearsed(site, target_url)).shortfalls[0]
    assert (await rehearsed(site, site.database_url)).shortfalls == []


async def test_an_emitter_that_was_pruned_and_goes_on(site: Site) -> None:
    first, second = (frame(span(), src="4" * 32, seq=number) for number in (1, 2))
    stream = events_key(site.prefix, 0)
    await site.redis.xadd(stream, first)
    await site.drain()
    await site.execute("UPDATE pipeline_frames SET committed_at = now() - interval '40 days'")
    await retain(site.settings(), 7)
    await site.redis.xtrim(stream, maxlen=0, approximate=False)
    await site.redis.xadd(stream, second)
    assert (await replay(site, site.database_url)).complete


async def rehearsed(site: Site, database_url: str) -> ReplayReport:
    async with rehearsing(site, database_url) as rehearsal:
        return await rehearsal.run()
