"""The archive under fire: workers are killed in it, its disk is full or gone, its group and its stream vanish.

The question at the end is always the same: whatever the database took is in the archive, unaltered, and whatever is
not in the archive yet is still in the stream.
"""

import resource
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from tests.fixtures import archive
from tests.fixtures.frames import frame, span
from tests.fixtures.halting_worker import ARCHIVE_POINTS
from tests.fixtures.journal import Bot
from tests.fixtures.oracle import LONGEST_SECONDS, Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually
from tests.fixtures.pressure import emit, fill, limit_memory
from tests.fixtures.probing import becomes
from tests.fixtures.servers import free_port
from tests.fixtures.worker_process import ended, peak, worker_process
from tracequeue.keys import events_key
from tracequeue_worker.decoder import Decoder, TimeWindow
from tracequeue_worker.doctor import read_unarchived
from tracequeue_worker.errors import Fatal
from tracequeue_worker.history.archiver import BATCH_BYTES
from tracequeue_worker.settings import ARCHIVE_GROUP
from tracequeue_worker.streams import Membership

WHEN_IT_ENDS = {"before the last line", "before the name", "after the name"}
KEEPING_NOTHING = {"TRACEQUEUE_KEEP_STREAM_SECONDS": "0"}
FILES_OF = resource.RLIMIT_FSIZE


async def assert_the_archive_is_whole(site: Site, folder: Path) -> None:
    """What the database holds is in finished files, byte for byte as the database knew it, and nothing is left open. An
    empty file may stay for a minute: whoever made it may be about to write."""
    decoder = Decoder(TimeWindow.of(site.settings()))
    archived = {}
    for entry in archive.entries(folder):
        frame = decoder.decode(entry)
        assert archived.setdefault((frame.emitter_id, frame.seq), frame.digest) == frame.digest
    ledger = await site.fetch("SELECT emitter_id, seq, digest FROM pipeline_frames")
    assert archived == {(row["emitter_id"], row["seq"]): row["digest"] for row in ledger}
    assert not [path for path in archive.unfinished(folder) if path.stat().st_size]


@pytest.mark.parametrize("point", ARCHIVE_POINTS)
async def test_killed(site: Site, tmp_path: Path, point: str) -> None:
    """SIGKILL at each point of a frame's way into the archive. Another worker finishes what the dead one left."""
    bot = site.bot()
    variables = {"TRACEQUEUE_ARCHIVE_DIR": str(tmp_path), **KEEPING_NOTHING}
    async with bot.emitting(), worker_process(site, point, **variables) as worker:
        if point in WHEN_IT_ENDS:
            await eventually(lambda: archive.unfinished(tmp_path), LONGEST_SECONDS)
            worker.terminate()
        assert await ended(worker) == -signal.SIGKILL
    await site.drain(archive_dir=tmp_path, keep_stream_seconds=0)
    await site.assert_account_closes(bot)
    await assert_the_archive_is_whole(site, tmp_path)
    assert await site.redis.xlen(events_key(site.prefix, 0)) == 0


async def test_two_workers_are_killed_again_and_again(site: Site, tmp_path: Path) -> None:
    """Under load, into one folder, while nothing is kept in the stream that may go."""
    bot = site.bot()
    variables = {"TRACEQUEUE_ARCHIVE_DIR": str(tmp_path), **KEEPING_NOTHING}
    async with bot.emitting(), site.working(archive_dir=tmp_path, keep_stream_seconds=0) as report:
        for _ in range(3):
            async with worker_process(site, **variables) as worker:
                open_files = set(archive.unfinished(tmp_path))
                await eventually(
                    lambda before=open_files: set(archive.unfinished(tmp_path)) - before,  # type: ignore[misc]
                    LONGEST_SECONDS,
                )
                worker.kill()
        await eventually(lambda: report.trimmed)
    await site.drain(archive_dir=tmp_path, keep_stream_seconds=0)
    await site.assert_account_closes(bot)
    await assert_the_archive_is_whole(site, tmp_path)


async def test_a_full_disk_is_said_and_holds_nothing_up_but_trimming(site: Site, tmp_path: Path) -> None:
    """The system refuses what makes a file longer than so many bytes."""
    port, bot = free_port(), site.bot()
    variables = {"TRACEQUEUE_ARCHIVE_DIR": str(tmp_path), "TRACEQUEUE_HEALTH_PORT": str(port), **KEEPING_NOTHING}
    async with worker_process(site, **variables) as worker:
        bot.trace()
        await eventually(lambda: archive.unfinished(tmp_path), LONGEST_SECONDS)
        with no_file_grows(worker.pid):
            async with bot.emitting():
                held = await becomes(port, "/readyz", 503, "writing the archive")
                (reason,) = [one for one in held.document["reasons"] if one["what"] == "writing the archive"]
                assert reason["state"] == "held"
                assert "raise the limit" in reason["why"]
                stored = len(await site.fetch("SELECT FROM pipeline_spans"))
                await eventually(lambda: _more_spans(site, stored), LONGEST_SECONDS)
            await eventually(site.settled, LONGEST_SECONDS)
            assert (await becomes(port, "/healthz", 200)).document["well"]
            kept = await site.redis.xlen(events_key(site.prefix, 0))
            assert kept
        await becomes(port, "/readyz", 200)
        await eventually(lambda: _all_is_trimmed(site), LONGEST_SECONDS)
        worker.terminate()
        assert await ended(worker) == 0
    await site.assert_account_closes(bot)
    await assert_the_archive_is_whole(site, tmp_path)


@contextmanager
def no_file_grows(pid: int) -> Iterator[None]:
    before = resource.prlimit(pid, FILES_OF)
    resource.prlimit(pid, FILES_OF, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, FILES_OF, before)


async def _more_spans(site: Site, than: int) -> bool:
    return len(await site.fetch("SELECT FROM pipeline_spans")) > than


async def _all_is_trimmed(site: Site) -> bool:
    return not await site.redis.xlen(events_key(site.prefix, 0))


async def test_a_folder_that_cannot_be_made(site: Site, tmp_path: Path, soon_cured: None) -> None:
    """A file is in its place. Nothing is trimmed until it is taken away."""
    (tmp_path / "archive").write_text("")
    port, bot = free_port(), site.bot()
    async with site.working(archive_dir=tmp_path / "archive", keep_stream_seconds=0, health_port=port) as report:
        async with bot.emitting():
            held = await becomes(port, "/readyz", 503, "writing the archive")
            assert "make it a folder" in held.body.decode()
            await eventually(lambda: report.frames > 5)
        assert report.trimmed == report.archived == 0
        (tmp_path / "archive").unlink()
        await eventually(lambda: _all_is_trimmed(site), LONGEST_SECONDS)
    await site.assert_account_closes(bot)
    await assert_the_archive_is_whole(site, tmp_path / "archive")


async def test_the_folder_is_removed_under_the_worker(
    site: Site, tmp_path: Path, soon_cured: None, caplog: pytest.LogCaptureFixture
) -> None:
    """What was in it is gone, and that is said. What comes later is archived in a new one."""
    folder = tmp_path / "archive"
    bot = site.bot()
    async with site.working(archive_dir=folder) as report:
        bot.trace()
        await eventually(lambda: report.archived)
        shutil.rmtree(folder)
        bot.trace()
        await eventually(lambda: archive.unfinished(folder))
        async with bot.emitting():
            await eventually(lambda: report.frames > 20)
    await site.drain(archive_dir=folder)
    await site.assert_account_closes(bot)
    assert "was removed while it was written" in caplog.text
    found = archive.bodies(archive.entries(folder))
    frames = await site.fetch("SELECT seq FROM pipeline_frames ORDER BY seq")
    lost = {row["seq"] for row in frames} - {seq for _, seq in found}
    assert lost == set(range(1, min(seq for _, seq in found)))


@pytest.mark.parametrize("vanishes", ["XGROUP DESTROY", "DEL", "FLUSHALL"])
async def test_the_group_or_the_stream_vanishes(own_site: Site, tmp_path: Path, vanishes: str) -> None:
    key = events_key(own_site.prefix, 0)
    first = own_site.bot()
    async with own_site.working(archive_dir=tmp_path, keep_stream_seconds=0) as report:
        async with first.emitting():
            await eventually(lambda: report.archived)
            command = {"XGROUP DESTROY": ("XGROUP", "DESTROY", key, ARCHIVE_GROUP), "DEL": ("DEL", key)}
            await own_site.redis.execute_command(*command.get(vanishes, ("FLUSHALL",)))  # type: ignore[no-untyped-call]
        second = own_site.bot()
        async with second.emitting():
            trimmed = report.trimmed
            await eventually(lambda: report.trimmed > trimmed)
    await own_site.drain(archive_dir=tmp_path, keep_stream_seconds=0)
    archived = archive.bodies(archive.entries(tmp_path))
    ledger = await own_site.fetch("SELECT emitter_id, seq FROM pipeline_frames")
    stored = {(str(row["emitter_id"]), row["seq"]) for row in ledger}
    later = {(emitter_id, seq) for emitter_id, seq in stored if UUID(emitter_id).hex == _emitter(second)}
    assert later
    assert later <= archived.keys()
    assert archived.keys() <= stored
    if vanishes == "XGROUP DESTROY":
        await assert_the_archive_is_whole(own_site, tmp_path)
        await own_site.assert_account_closes(first, second)


def _emitter(bot: Bot) -> str:
    return UUID(bot.collector.identity.emitter_id).hex


async def test_under_memory_pressure_only_what_is_archived_goes(
    own_site: Site, tmp_path: Path, soon_cured: None
) -> None:
    """The disk takes nothing while Redis fills up; then it does, and all that was held back makes room."""
    (tmp_path / "archive").write_text("")
    await limit_memory(own_site)
    bot = own_site.bot()
    async with own_site.working(archive_dir=tmp_path / "archive") as report:
        await fill(own_site, bot)
        await eventually(own_site.settled, LONGEST_SECONDS)
        assert report.trimmed == 0
        (tmp_path / "archive").unlink()
        await eventually(lambda: report.trimmed, LONGEST_SECONDS)
        emit(bot, 5)
        await bot.stop()
        await eventually(own_site.settled, LONGEST_SECONDS)
    await own_site.drain(archive_dir=tmp_path / "archive")
    await own_site.assert_account_closes(bot)
    await assert_the_archive_is_whole(own_site, tmp_path / "archive")


@pytest.mark.parametrize("times", [1, 2])
async def test_asked_to_stop_while_redis_is_frozen(
    own_site: Site, own_redis: OwnServer, tmp_path: Path, times: int
) -> None:
    """The file is left as it is, or finished; the next worker archives what was not acknowledged."""
    bot = own_site.bot()
    variables = {"TRACEQUEUE_ARCHIVE_DIR": str(tmp_path), **KEEPING_NOTHING}
    async with bot.emitting(), worker_process(own_site, **variables) as worker:
        await eventually(lambda: archive.unfinished(tmp_path), LONGEST_SECONDS)
        own_redis.freeze()
        try:
            for _ in range(times):
                worker.terminate()
            await ended(worker)
        finally:
            own_redis.thaw()
    await own_site.drain(archive_dir=tmp_path, keep_stream_seconds=0)
    await own_site.assert_account_closes(bot)
    await assert_the_archive_is_whole(own_site, tmp_path)


async def test_entries_of_a_megabyte_that_waited_for_a_disk(site: Site, tmp_path: Path) -> None:
    """What waits is in Redis, not in the worker: neither while the disk takes nothing, nor when it does again."""
    key, weight = events_key(site.prefix, 0), secrets.token_bytes(1_000_000)
    variables = {"TRACEQUEUE_ARCHIVE_DIR": str(tmp_path), "TRACEQUEUE_BATCH_BYTES": "1000000"}
    async with worker_process(site, **variables) as worker:
        for _ in range(20):
            await site.redis.xadd(key, frame(span(), note=weight))
        await eventually(lambda: _unarchived(site, 0), LONGEST_SECONDS)
        before = peak(worker)
        with no_file_grows(worker.pid):
            for _ in range(150):
                await site.redis.xadd(key, frame(span(), note=weight))
            await eventually(site.settled, LONGEST_SECONDS)
        await eventually(lambda: _unarchived(site, 0), LONGEST_SECONDS)
        assert peak(worker) < before + 8 * BATCH_BYTES
        worker.terminate()
        assert await ended(worker) == 0
    await assert_the_archive_is_whole(site, tmp_path)


async def _unarchived(site: Site, frames: int) -> bool:
    backlogs = await read_unarchived(site.redis, Membership.of(site.settings()))
    return bool(backlogs) and sum(one.unread + one.pending for one in backlogs) == frames


async def test_a_drain_says_that_the_archive_takes_nothing(site: Site, tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("")
    bot = site.bot()
    bot.trace()
    await bot.stop()
    with pytest.raises(Fatal, match="make it a folder"):
        await site.drain(archive_dir=tmp_path / "archive")
    assert len(await site.fetch("SELECT FROM pipeline_spans")) == len(bot.journal.spans)
