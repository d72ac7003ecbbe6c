"""Fault 50: a replay over a trimmed range, or interrupted at any point: what is missing is said, and it goes on exactly
where it was.
"""

import asyncio
import signal

import pytest

from tests.fixtures.command import Command
from tests.fixtures.halting_replay import AT_THE_END, POINTS
from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxied
from tests.fixtures.replays import contents, fetch, figures, fill, replay, replay_process, replaying, report_of
from tests.fixtures.worker_process import ended
from tracequeue.keys import events_key
from tracequeue_worker.errors import Transient
from tracequeue_worker.replay.models import ReplayReport
from tracequeue_worker.replay.progress import Progress

SMALL = {"batch_rows": 20}
"""Batches of four frames: a replay of fifty frames makes thirteen."""
SMALL_VARIABLES = {"TRACEQUEUE_BATCH_ROWS": "20"}


@pytest.fixture
async def filled_site(site: Site) -> Site:
    """Fifty frames, stored by a worker."""
    await fill(site)
    await site.drain()
    return site


async def assert_as_if_never_interrupted(site: Site, database_url: str, report: ReplayReport) -> None:
    """Everything is there once, and the figures are those of a replay in one go."""
    assert report.complete
    assert (report.frames, report.events, report.written, report.present) == (50, 250, 250, 0)
    assert [(day.kind, day.source_rows) for day in report.days] == [("starts", 50), ("spans", 150), ("ends", 50)]
    assert all(day.equal and not day.different for day in report.days)
    assert await contents(database_url) == await contents(site.database_url)


@pytest.mark.parametrize("point", POINTS)
async def test_killed(filled_site: Site, target_url: str, point: str) -> None:
    nth = 1 if point == AT_THE_END else 3
    async with replay_process(filled_site, target_url, point, nth=nth, **SMALL_VARIABLES) as process:
        assert await ended(process) == -signal.SIGKILL
    async with replay_process(filled_site, target_url, **SMALL_VARIABLES) as process:
        report = await report_of(process)
    assert report.resumed
    await assert_as_if_never_interrupted(filled_site, target_url, report)


async def test_killed_again_and_again(filled_site: Site, target_url: str) -> None:
    for point in POINTS:
        if point != AT_THE_END:
            async with replay_process(filled_site, target_url, point, nth=2, **SMALL_VARIABLES) as process:
                assert await ended(process) == -signal.SIGKILL
    report = await replay(filled_site, target_url)
    assert report.resumed
    await assert_as_if_never_interrupted(filled_site, target_url, report)


async def test_interrupted_by_ctrl_c_and_run_again(filled_site: Site, command: Command, target_url: str) -> None:
    process = command.start("replay", "--to", target_url, "--rate", "20", "--json", **SMALL_VARIABLES)
    try:
        await eventually(lambda: fetch(target_url, "SELECT FROM pipeline_replay_parts WHERE events > 0"))
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.to_thread(process.communicate)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    (stored,) = await fetch(target_url, "SELECT events FROM pipeline_replay_parts")
    assert stored["events"] < 250
    report = await replay(filled_site, target_url)
    assert report.resumed
    await assert_as_if_never_interrupted(filled_site, target_url, report)


@pytest.mark.parametrize("words", [b"pipeline_replay_parts", b"INSERT INTO public.pipeline_spans", b"COMMIT"])
@pytest.mark.parametrize("fault", ["cut before", "lost reply"])
async def test_the_target_is_cut_off(filled_site: Site, target_url: str, words: bytes, fault: str) -> None:
    async with proxied(target_url) as (proxy, url):
        settings = filled_site.settings(database_url=url, **SMALL)
        async with replaying(settings) as replayer:
            sprung = proxy.cut_before(words) if fault == "cut before" else proxy.lose_reply_to(words)
            report = await replayer.run()
    assert sprung.is_set()
    await assert_as_if_never_interrupted(filled_site, target_url, report)


async def test_redis_is_cut_off_again_and_again(filled_site: Site, target_url: str) -> None:
    async with proxied(filled_site.redis_url) as (proxy, url):
        settings = filled_site.settings(database_url=target_url, redis_url=url, **SMALL)
        progress = Progress()
        async with replaying(settings, progress=progress, rate=60.0) as replayer:
            work = asyncio.create_task(replayer.run())
            for events in (1, 60, 120):
                await eventually(lambda least=events: progress.events >= least)
                proxy.cut()
            report = await work
    await assert_as_if_never_interrupted(filled_site, target_url, report)


async def test_the_target_is_killed_and_started(filled_site: Site, own_postgres: OwnServer) -> None:
    settings = filled_site.settings(database_url=own_postgres.url, **SMALL)
    progress = Progress()
    async with replaying(settings, progress=progress, rate=60.0) as replayer:
        work = asyncio.create_task(replayer.run())
        await eventually(lambda: progress.events)
        await asyncio.to_thread(own_postgres.kill)
        await eventually(lambda: replayer.trouble)
        await asyncio.to_thread(own_postgres.start)
        report = await work
    await assert_as_if_never_interrupted(filled_site, own_postgres.url, report)


async def test_a_target_that_stays_away_ends_it_and_it_goes_on_later(
    filled_site: Site, own_postgres: OwnServer
) -> None:
    settings = filled_site.settings(database_url=own_postgres.url, **SMALL)
    progress = Progress()
    async with replaying(settings, progress=progress, rate=60.0, patience_seconds=0.5) as replayer:
        work = asyncio.create_task(replayer.run())
        await eventually(lambda: progress.events)
        await asyncio.to_thread(own_postgres.kill)
        with pytest.raises(Transient, match="run the same command again"):
            await work
    await asyncio.to_thread(own_postgres.start)
    report = await replay(filled_site, own_postgres.url)
    assert report.resumed
    await assert_as_if_never_interrupted(filled_site, own_postgres.url, report)


async def test_over_a_trimmed_range(filled_site: Site, command: Command, target_url: str) -> None:
    await filled_site.redis.xtrim(events_key(filled_site.prefix, 0), maxlen=30, approximate=False)
    answer = await asyncio.to_thread(command, "replay", "--to", target_url, "--json")
    assert answer.code == 1
    found = answer.document
    assert [(gap["first"], gap["last"], gap["cause"]) for gap in found["gaps"]] == [(1, 20, "trimmed")]
    assert len(found["shortfalls"]) == 1
    assert "20 entries" in found["shortfalls"][0]
    assert found["written"] == 150


async def test_trimmed_while_it_is_interrupted(filled_site: Site, target_url: str) -> None:
    async with replay_process(filled_site, target_url, "after COMMIT", nth=3, **SMALL_VARIABLES) as process:
        assert await ended(process) == -signal.SIGKILL
    await filled_site.redis.xtrim(events_key(filled_site.prefix, 0), maxlen=30, approximate=False)
    report = await replay(filled_site, target_url)
    assert report.resumed
    assert not report.complete
    assert [(gap.first, gap.last, gap.cause) for gap in report.gaps] == [(13, 20, "missing")]
    assert figures(report)["written"] == 210
