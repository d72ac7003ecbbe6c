"""The spool as a source: read while it is written, sent from or damaged, and never changed."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.fixtures.frames import frame, span
from tracequeue.errors import SettingsError
from tracequeue.frame import identity
from tracequeue.outgoing import Outgoing
from tracequeue.spool import Drain, Folder, Shelf
from tracequeue.spool.records import FILE_HEAD, encode
from tracequeue_worker.bounds import Bounds, Edge
from tracequeue_worker.errors import Unreachable
from tracequeue_worker.records import Entry
from tracequeue_worker.replay.source import Part, Taken
from tracequeue_worker.replay.spool import SpoolSource
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership

EMITTER = "ab" * 16
MADE = 1_793_491_200_000_000_000
NAME = f"tracequeue-0a1b2c3d-{MADE:020d}-12345678.spool"
KEY = "{tracequeue:0}:events"


def outgoing(seq: int, key: str = KEY) -> Outgoing:
    return Outgoing(key, seq, 1, dict(frame(span(), src=EMITTER, seq=seq)))


def write(folder: Path, frames: Iterable[Outgoing], name: str = NAME) -> list[int]:
    """A segment; returns where its records end."""
    content, ends = bytearray(FILE_HEAD), []
    for one in frames:
        content += encode(one)
        ends.append(len(content))
    (folder / name).write_bytes(content)
    return ends


def source(folder: Path, **settings: object) -> SpoolSource:
    return SpoolSource(folder, Membership.of(WorkerSettings.load(**settings)))


async def read(spool: SpoolSource, part: Part, after: str | None = None) -> list[Taken]:
    return [taken async for taken in spool.read(part, after)]


async def numbers(spool: SpoolSource) -> list[int]:
    found = [taken.content for part in await spool.parts() for taken in await read(spool, part)]
    return [identity(one.fields)[1] for one in found if isinstance(one, Entry)]


async def test_a_segment_is_a_part_and_an_offset_a_position(tmp_path: Path) -> None:
    frames = [outgoing(seq) for seq in (1, 2, 3)]
    ends = write(tmp_path, frames)
    spool = source(tmp_path)
    (part,) = await spool.parts()
    assert part == Part(NAME, ends[-1])
    taken = await read(spool, part)
    assert [one.position for one in taken] == [str(end) for end in ends]
    assert sum(one.size for one in taken) == part.size
    assert taken[1].content == Entry(KEY.encode(), 0, b"1793491200000-%d" % ends[0], frames[1].fields)
    assert await read(spool, part, str(ends[0])) == [taken[1], taken[2]]
    assert await read(spool, part, str(ends[2])) == []
    assert await spool.shortfalls() == []


async def test_what_is_written_meanwhile_is_for_another_replay(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "tracequeue", 1 << 20)
    shelf = Shelf(folder)
    shelf.put(outgoing(1))
    spool = source(tmp_path)
    (part,) = await spool.parts()
    shelf.put(outgoing(2))
    assert len(await read(spool, part)) == 1
    assert await spool.shortfalls() == []
    assert await numbers(source(tmp_path)) == [1, 2]
    assert shelf.segments[0].reachable
    folder.let_go()


async def test_a_segment_that_was_sent_meanwhile_is_no_trouble(tmp_path: Path) -> None:
    """The bot's drain does it, and nothing that we hold keeps it from that."""
    folder = Folder(tmp_path, "tracequeue", 1 << 20)
    shelf = Shelf(folder)
    for seq in (1, 2, 3):
        shelf.put(outgoing(seq))
    spool = source(tmp_path)
    (part,) = await spool.parts()
    reading = spool.read(part, None)
    await anext(reading)
    drain = Drain(folder, [shelf])
    for spooled in drain.due(set(), set()):
        drain.accepted(spooled)
    assert os.listdir(tmp_path) == []  # noqa: PTH208
    assert len([taken async for taken in reading]) == 2
    assert await read(spool, part) == []
    assert await spool.shortfalls() == []
    assert await source(tmp_path).parts() == []


@pytest.mark.parametrize("cut", [1, 4, 30, 60, 100])
async def test_a_record_that_is_half_written_is_no_damage(tmp_path: Path, cut: int) -> None:
    (end,) = write(tmp_path, [outgoing(1)])
    record = encode(outgoing(2))
    assert cut < len(record)
    with (tmp_path / NAME).open("ab") as file:
        file.write(record[:cut])
    spool = source(tmp_path)
    (part,) = await spool.parts()
    assert [one.position for one in await read(spool, part)] == [str(end)]
    assert await spool.shortfalls() == []


async def test_a_file_that_is_just_made_is_no_damage(tmp_path: Path) -> None:
    for number, content in enumerate((b"", FILE_HEAD[:3], FILE_HEAD)):
        (tmp_path / f"{number}.spool").write_bytes(content)
    spool = source(tmp_path)
    assert await numbers(spool) == []
    assert await spool.shortfalls() == []


async def test_a_damaged_body_comes_as_the_emitter_would_send_it_and_is_named(tmp_path: Path) -> None:
    ends = write(tmp_path, [outgoing(seq) for seq in (1, 2, 3)])
    flip(tmp_path / NAME, ends[1] - 1)
    spool = source(tmp_path)
    assert await numbers(spool) == [1, 2, 3]
    (damaged,) = await spool.shortfalls()
    assert damaged.startswith(f"{tmp_path / NAME}: 1 of its frames cannot be read (1 events)")
    assert damaged.endswith(f"number 2 of emitter {EMITTER}")


@pytest.mark.parametrize("place", [0, 2])
async def test_a_damaged_header_is_told_of_in_bytes(tmp_path: Path, place: int) -> None:
    ends = [len(FILE_HEAD), *write(tmp_path, [outgoing(seq) for seq in (1, 2, 3)])]
    flip(tmp_path / NAME, ends[place] + 20)
    expected = [seq for seq in (1, 2, 3) if seq != place + 1]
    spool = source(tmp_path)
    assert await numbers(spool) == expected
    (damaged,) = await spool.shortfalls()
    assert f"{ends[place + 1] - ends[place]} bytes are damaged" in damaged


async def test_damage_before_the_position_is_told_of_too(tmp_path: Path) -> None:
    """An interrupted replay goes on in another process, and its report is of all of it."""
    ends = write(tmp_path, [outgoing(seq) for seq in (1, 2, 3)])
    flip(tmp_path / NAME, ends[0] - 1)
    spool = source(tmp_path)
    (part,) = await spool.parts()
    assert len(await read(spool, part, str(ends[1]))) == 1
    assert len(await spool.shortfalls()) == 1
    unread = source(tmp_path)
    await unread.parts()
    assert len(await unread.shortfalls()) == 1


async def test_frames_for_other_streams(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, [outgoing(1, "{other:0}:events"), outgoing(2), outgoing(3, "{tracequeue:1}:events")])
    spool = source(tmp_path)
    assert await numbers(spool) == [2]
    (missing,) = await spool.shortfalls()
    assert missing.startswith("1 frame for {tracequeue:1}:events")
    assert missing.endswith("set TRACEQUEUE_PARTITIONS as the bots have it")
    assert "1 frame for {other:0}:events" in caplog.text
    assert await numbers(source(tmp_path, partitions=2)) == [2, 3]


async def test_a_folder_of_another_prefix_only(tmp_path: Path) -> None:
    write(tmp_path, [outgoing(1, "{other:0}:events")])
    spool = source(tmp_path)
    assert await numbers(spool) == []
    (missing,) = await spool.shortfalls()
    assert missing.endswith("set TRACEQUEUE_PREFIX as the bots have it")


async def test_files_that_are_none_of_ours_or_were_set_aside(tmp_path: Path) -> None:
    (tmp_path / "old.spool").write_bytes(b"tqspool\x00 and more")
    (tmp_path / "torn.unreadable").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("not ours")
    (tmp_path / "folder.spool").mkdir()
    spool = source(tmp_path)
    assert await numbers(spool) == []
    assert [one.removeprefix(f"{tmp_path}/") for one in await spool.shortfalls()] == [
        "folder.spool: cannot be read: Is a directory",
        "old.spool: is no spool of this version of tracequeue",
        "torn.unreadable: a bot could not read it, and set it aside",
    ]


async def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="there is no such folder: check --spool"):
        await source(tmp_path / "none").parts()


def test_bounds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="leave them out"):
        SpoolSource(tmp_path, Membership.of(WorkerSettings.load()), Bounds(since=Edge(0)))


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, content)
    os.close(fd)
