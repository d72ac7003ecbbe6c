"""The archive on real servers: what is in it, what it holds back from trimming, and that it disturbs nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.fixtures import archive
from tests.fixtures.access import PostgresAccess, RedisAccess
from tests.fixtures.command import Command
from tests.fixtures.frames import frame, span
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.replays import contents
from tests.fixtures.stream import Stream
from tracequeue.keys import events_key
from tracequeue_worker.bounds import Bounds
from tracequeue_worker.history import archive_folder
from tracequeue_worker.replay.files import FileSource
from tracequeue_worker.replay.replayer import Replayer
from tracequeue_worker.replay.selection import Selection
from tracequeue_worker.replay.store import DatabaseStore
from tracequeue_worker.replay.target import Target
from tracequeue_worker.settings import ARCHIVE_GROUP

ARCHIVE = {"keep_stream_seconds": 0}


async def test_all_that_was_trimmed_is_archived(site: Site, tmp_path: Path) -> None:
    bot = site.bot()
    async with bot.emitting(), site.working(archive_dir=tmp_path, **ARCHIVE) as report:
        await eventually(lambda: report.archived > 20 and report.trimmed)
    drained = await site.drain(archive_dir=tmp_path, **ARCHIVE)
    await site.assert_account_closes(bot)
    assert await site.redis.xlen(events_key(site.prefix, 0)) == 0
    copies = archive.copies(tmp_path)
    assert set(copies.values()) == {1}
    assert len(copies) == report.archived + drained.archived == report.frames + drained.frames
    events = [json.loads(line) for body in archive.bodies(archive.entries(tmp_path)).values() for line in body.split()]
    assert {event["span_id"] for event in events if event["type"] == "span"} == set(bot.journal.spans)
    assert not archive.unfinished(tmp_path)


async def test_a_drain_archives_all_that_is_there(site: Site, stream: Stream, tmp_path: Path) -> None:
    ids = await stream.add(500)
    report = await site.drain(archive_dir=tmp_path / "made" / "here")
    assert report.archived == report.frames == 500
    assert archive.copies(tmp_path / "made" / "here") == dict.fromkeys(ids, 1)
    assert (tmp_path / "made" / "here").stat().st_mode & 0o777 == 0o700


async def test_what_was_in_the_stream_before_the_archive_is_archived_too(
    site: Site, stream: Stream, tmp_path: Path
) -> None:
    ids = await stream.add(10)
    await site.drain()
    later = await stream.add(10)
    report = await site.drain(archive_dir=tmp_path)
    assert report.frames == 10
    assert archive.copies(tmp_path) == dict.fromkeys([*ids, *later], 1)


async def test_a_database_that_is_lost_comes_back_from_the_archive(site: Site, tmp_path: Path, target_url: str) -> None:
    """The stream is empty by then. Two times, for what a crash archived twice is stored once as well."""
    bot = site.bot()
    async with bot.emitting(), site.working(archive_dir=tmp_path, **ARCHIVE) as report:
        await eventually(lambda: report.archived > 20)
    await site.drain(archive_dir=tmp_path, **ARCHIVE)
    await _replay(site, tmp_path, target_url)
    assert await contents(target_url) == await contents(site.database_url)
    await _replay(site, tmp_path, target_url)
    assert await contents(target_url) == await contents(site.database_url)


async def _replay(site: Site, folder: Path, target_url: str) -> None:
    settings = site.settings(database_url=target_url)
    async with DatabaseStore.open(Target(settings, "--to")) as store:
        replayer = Replayer(FileSource.of(archive.files(folder)), store, settings, selection=Selection(Bounds()))
        assert (await replayer.run()).complete


async def test_any_entry_comes_out_as_it_went_in(site: Site, stream: Stream, tmp_path: Path) -> None:
    """Frames of nobody, refused, broken, of another version, and such as no clock could have numbered."""
    strange: list[dict[Any, Any]] = [
        {b"body": json.dumps(span()).encode()},
        {b"body": b"\xff\xfe{"},
        {b"v": b"7", b"body": b"of the future", b"new": b"\x00\x01"},
        {b"nothing": b""},
        frame(span(span_name="")),
        frame(span(), span(start_time=0)),
        {**frame(span()), b"retry": b"[0]"},
        {b"body": json.dumps(span(), indent=None).encode() + b"\n\n", b"n": b"1"},
    ]
    ids = [await site.redis.xadd(stream.key, fields) for fields in strange]
    ids.append(await site.redis.xadd(stream.key, frame(span()), id="18446744073709551614-7"))
    before = await site.redis.xrange(stream.key)
    await site.drain(archive_dir=tmp_path)
    found = archive.entries(tmp_path)
    assert [entry.id for entry in found] == ids
    for entry, (_, fields) in zip(found[:4], before[:4], strict=True):
        assert dict(entry.fields) == fields


async def test_several_partitions(site: Site, redis_client: Redis, tmp_path: Path) -> None:
    places = [
        (partition, await redis_client.xadd(events_key(site.prefix, partition), frame(span())))
        for partition in (0, 1, 2, 2, 1, 0)
    ]
    await site.drain(archive_dir=tmp_path, partitions=3)
    assert sorted((entry.partition, entry.id) for entry in archive.entries(tmp_path)) == sorted(places)


async def test_files_are_rotated_by_size_and_by_age(
    site: Site, stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_folder, "FILE_BYTES", 10_000)
    async with site.working(archive_dir=tmp_path):
        for files in range(1, 4):
            await stream.add(200)
            await eventually(lambda files=files: len(archive.files(tmp_path)) >= files)  # type: ignore[misc]
        monkeypatch.setattr(archive_folder, "FILE_BYTES", 10**9)
        await stream.add(1)
        await eventually(lambda: archive.unfinished(tmp_path))
        monkeypatch.setattr(archive_folder, "FILE_SECONDS", 0.0)
        await eventually(lambda: not archive.unfinished(tmp_path))
    assert len(archive.copies(tmp_path)) == 601


async def test_a_worker_that_is_asked_to_stop_finishes_its_file(site: Site, stream: Stream, tmp_path: Path) -> None:
    async with site.working(archive_dir=tmp_path, min_idle_ms=600_000) as report:
        await stream.add(3)
        await eventually(lambda: report.frames == 3)
    assert not archive.unfinished(tmp_path)
    (group,) = [one for one in await site.redis.xinfo_groups(stream.key) if one["name"] == ARCHIVE_GROUP.encode()]
    assert (group["pending"], group["consumers"]) == (0, 0)
    assert report.archived == len(archive.entries(tmp_path))


async def test_what_a_dead_worker_had_pending_is_archived_by_another(
    site: Site, stream: Stream, redis_client: Redis, tmp_path: Path
) -> None:
    ids = await stream.add(20)
    dead = stream.worker("dead", group=ARCHIVE_GROUP)
    await dead.read()
    await site.drain(archive_dir=tmp_path)
    assert archive.copies(tmp_path) == dict.fromkeys(ids, 1)
    assert (await redis_client.xpending(stream.key, ARCHIVE_GROUP))["pending"] == 0


async def test_nothing_is_lost_to_the_pipeline_because_a_second_group_is_there(site: Site, tmp_path: Path) -> None:
    """Neither counter of what others deleted sees what is trimmed, in whatever order the groups settle it."""
    bot = site.bot()
    async with bot.emitting(), site.working(archive_dir=tmp_path, **ARCHIVE) as report:
        await eventually(lambda: report.trimmed > 50)
        (backlog,) = await site.backlog()
        assert backlog.consumers == 1
    await site.drain(archive_dir=tmp_path, **ARCHIVE)
    assert report.lost_entries == 0
    await site.assert_account_closes(bot)
    assert await site.fetch("SELECT FROM pipeline_losses") == []


async def test_frames_that_somebody_deleted_before_they_were_archived_are_said(
    site: Site, stream: Stream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await stream.add(5)
    await site.drain()
    await stream.worker(group=ARCHIVE_GROUP).read()
    await stream.worker(group=ARCHIVE_GROUP).look()
    await site.redis.xtrim(stream.key, maxlen=2, approximate=False)
    await site.drain(archive_dir=tmp_path)
    assert "3 frames" in caplog.text
    assert "not in the archive" in caplog.text
    assert await site.fetch("SELECT FROM pipeline_losses") == []


async def test_with_the_rights_of_the_shipped_users(
    site: Site, access: RedisAccess, logins: PostgresAccess, command: Command, tmp_path: Path
) -> None:
    """Also what a worker that died left, and for who looks."""
    bot = site.bot(access.emitter)
    bot.burst(20)
    await bot.collector.flush()
    key = events_key(site.prefix, 0)
    await site.redis.xgroup_create(key, ARCHIVE_GROUP, id="0", mkstream=True)
    await site.redis.xreadgroup(ARCHIVE_GROUP, "dead-worker", {key: ">"}, count=1)
    worker = {"redis_url": access.worker, "database_url": logins.worker, "archive_dir": tmp_path} | ARCHIVE
    async with site.working(**worker) as report:
        await eventually(lambda: report.archived)
        await bot.stop()
    await site.drain(**worker)
    await site.assert_account_closes(bot)
    looking = {"TRACEQUEUE_REDIS_URL": access.reader, "TRACEQUEUE_DATABASE_URL": logins.reader}
    assert command("status", "--json", **looking).document["frames_to_archive"] == 0
    assert await access.refusals() == []


async def test_the_group_is_made_before_anything_is_trimmed(site: Site, stream: Stream, tmp_path: Path) -> None:
    """Also where it was destroyed while the worker runs: what is in the stream is archived once more."""
    ids = await stream.add(10)
    await site.drain()
    async with site.working(archive_dir=tmp_path, **ARCHIVE) as report:
        await eventually(lambda: report.trimmed == 10)
        assert report.archived == 10
        await site.redis.xgroup_destroy(stream.key, ARCHIVE_GROUP)
        ids += await stream.add(10)
        await eventually(lambda: report.trimmed == 20)
    assert set(archive.copies(tmp_path)) == set(ids)
