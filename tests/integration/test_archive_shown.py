"""Where the archive shows: the doctor, `status`, the log of the trimmer, and the settings."""

import os
import time
from pathlib import Path

import pytest

from tests.fixtures.command import Command
from tests.fixtures.frames import frame, span
from tests.fixtures.oracle import Site
from tests.fixtures.stream import Stream
from tracequeue.errors import SettingsError
from tracequeue_worker.doctor import Finding, archive, examine
from tracequeue_worker.settings import ARCHIVE_GROUP, WorkerSettings


async def found(site: Site, folder: Path | None = None) -> dict[tuple[str, str], Finding]:
    """What the doctor says of the archive and of groups, by subject and check."""
    examination = await examine(site.settings(archive_dir=folder), {})
    wanted = ("archive", "left in the archive", "other groups")
    return {(one.subject, one.check): one for one in examination.findings if one.check in wanted}


async def test_without_an_archive_nothing_is_said_of_one(site: Site, stream: Stream) -> None:
    await stream.add(1)
    assert list(await found(site)) == [("redis", "other groups")]


async def test_the_group_of_an_archive_that_was_switched_off(site: Site, stream: Stream, tmp_path: Path) -> None:
    await site.drain(archive_dir=tmp_path)
    await stream.add(3)
    one = (await found(site))["redis", "archive"]
    assert one.verdict == "warn"
    assert "TRACEQUEUE_ARCHIVE_DIR is not set here" in one.found
    assert "waiting to be archived: 3" in one.found
    assert f"`XGROUP DESTROY {stream.key} {ARCHIVE_GROUP}`" in one.cure
    await site.redis.xgroup_destroy(stream.key, ARCHIVE_GROUP)
    assert ("redis", "archive") not in await found(site)


async def test_an_archive_that_is_behind(
    site: Site, stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.drain(archive_dir=tmp_path)
    assert (await found(site, tmp_path))["redis", "archive"].verdict == "ok"
    await stream.add(2)
    assert (await found(site, tmp_path))["redis", "archive"].verdict == "ok"
    monkeypatch.setattr(archive, "BEHIND_SECONDS", -1.0)
    one = (await found(site, tmp_path))["redis", "archive"]
    assert (one.verdict, "waiting to be archived: 2, the oldest" in one.found) == ("warn", True)


async def test_what_the_archive_holds_back_is_told_with_its_own_cure(
    site: Site, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    hours = 2
    await site.redis.xadd(stream.key, frame(span()), id=f"{int((time.time() - hours * 3_600) * 1000)}-0")
    await site.redis.xgroup_create(stream.key, ARCHIVE_GROUP, id="0")
    await site.drain(keep_stream_seconds=0)
    assert "let workers run with TRACEQUEUE_ARCHIVE_DIR" in caplog.text
    assert f"to archive no more, run `XGROUP DESTROY {stream.key} {ARCHIVE_GROUP}`" in caplog.text


async def test_the_folder(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new" / "archive"

    async def says() -> tuple[str, str]:
        one = (await found(site, folder))["here", "archive"]
        return one.verdict, one.found + one.cure

    verdict, text = await says()
    assert (verdict, "will be made" in text, folder.exists()) == ("ok", True, False)
    folder.mkdir(parents=True)
    (folder / "frames-x.jsonl.zst").write_bytes(b"0" * 2048)
    assert "2.0 KiB used" in (await says())[1]
    monkeypatch.setattr(archive, "LITTLE_ROOM", 1 << 60)
    assert (await says())[0] == "warn"
    monkeypatch.setattr(archive.os, "access", lambda *_: False)  # whoever is root may everything
    verdict, text = await says()
    assert (verdict, "give the worker's user rights" in text) == ("fail", True)
    folder = folder / "frames-x.jsonl.zst"
    verdict, text = await says()
    assert (verdict, "is no folder" in text) == ("fail", True)


async def test_a_file_that_a_dead_worker_left(site: Site, tmp_path: Path) -> None:
    left = tmp_path / "frames-20200101T000000.000Z-abc.jsonl.zst.partial"
    left.write_bytes(b"")
    assert ("here", "left in the archive") not in await found(site, tmp_path)
    os.utime(left, (time.time() - 7_200, time.time() - 7_200))
    one = (await found(site, tmp_path))["here", "left in the archive"]
    assert (one.verdict, "120 minutes" in one.found) == ("warn", True)


def test_status_and_the_closing_line(command: Command, tmp_path: Path) -> None:
    assert "archive" not in command("status").out
    assert command("status", "--json").document["frames_to_archive"] is None
    drained = command("worker", "--drain", TRACEQUEUE_ARCHIVE_DIR=str(tmp_path / "archive"))
    assert "0 frames archived" in drained.err
    assert "frames waiting to be archived: 0" in command("status").out
    assert command("status", "--json").document["frames_to_archive"] == 0


def test_the_group_of_the_archive_is_no_group_for_storing() -> None:
    with pytest.raises(SettingsError, match="TRACEQUEUE_GROUP='archive': must be another name"):
        WorkerSettings.load(group=ARCHIVE_GROUP)
