"""The folder of the spool on a real file system: locks, bounds, foreign files, and what is left behind."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tracequeue.frame import pack
from tracequeue.outgoing import Outgoing
from tracequeue.spool import Drain, Folder, Shelf
from tracequeue.spool.segment import EMPTY_SECONDS

EMITTER = "ab" * 16
KEY = "{tracequeue:0}:events"
BOUND = 1024 * 1024


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass for the shelf, the folder and the drain."""
    ahead = 0.0

    def later() -> float:
        return time.monotonic() + ahead

    def advance(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    for module in ("drain", "folder", "shelf"):
        monkeypatch.setattr(f"tracequeue.spool.{module}.monotonic", later)
    return advance


def folder_at(path: Path, prefix: str = "tracequeue", bound: int = BOUND) -> Folder:
    return Folder(path / "spool", prefix, bound)


def frame(seq: int, size: int = 100) -> Outgoing:
    fields = pack(b"x" * size, 2, emitter_id=EMITTER, seq=seq, account=b"{}", meta=b"{}", compress=False)
    return Outgoing(KEY, seq, 2, fields, 2 * (seq - 1))


def left_behind(path: Path, *frames: Outgoing, prefix: str = "tracequeue") -> Path:
    """A segment of a process that is gone."""
    folder = folder_at(path, prefix)
    shelf = Shelf(folder)
    assert all(shelf.put(one) for one in frames)
    folder.let_go()
    return shelf.segments[0].path


def drained(drain: Drain, clock: Callable[[float], None]) -> list[int]:
    """The numbers of all frames that the drain gives, each accepted."""
    numbers = []
    while batch := drain.due(set(), set()):
        for one in batch:
            numbers.append(one.frame.seq)
            drain.accepted(one)
        clock(60)
    return numbers


def test_a_shelf_gives_back_what_was_put_there_in_order(tmp_path: Path, clock: Callable[[float], None]) -> None:
    folder = folder_at(tmp_path)
    shelf = Shelf(folder)
    for seq in range(1, 30):
        assert shelf.put(frame(seq, 30_000))
    assert len(list(folder.path.iterdir())) > 3
    assert (shelf.events, shelf.ever, shelf.first()) == (58, 58, 0)
    assert drained(Drain(folder, [shelf]), clock) == list(range(1, 30))
    assert (shelf.events, shelf.ever, shelf.sent, shelf.lost, shelf.first()) == (0, 58, 58, 0, None)
    assert not list(folder.path.iterdir())


def test_a_held_segment_is_nobody_elses(tmp_path: Path, clock: Callable[[float], None]) -> None:
    folder = folder_at(tmp_path)
    shelf = Shelf(folder)
    assert shelf.put(frame(1))
    assert folder_at(tmp_path).adopt() is None
    folder.let_go()
    assert drained(Drain(folder_at(tmp_path), []), clock) == [1]


def test_two_drains_share_what_is_left(tmp_path: Path, clock: Callable[[float], None]) -> None:
    for seq in (1, 2, 3):
        left_behind(tmp_path, frame(seq))
    drains = [Drain(folder_at(tmp_path), []) for _ in range(2)]
    batches = [drain.due(set(), set()) for drain in drains]
    assert [[one.frame.seq for one in batch] for batch in batches] == [[1], [2]]
    drains[0].close()
    clock(60)
    assert drained(drains[1], clock) == [2, 1, 3]


def test_other_prefixes_are_left_alone(tmp_path: Path, clock: Callable[[float], None]) -> None:
    path = left_behind(tmp_path, frame(1), prefix="a/b")
    left_behind(tmp_path, frame(2), prefix="a b")
    assert path.parent == tmp_path / "spool"
    assert drained(Drain(folder_at(tmp_path, "a b"), []), clock) == [2]
    assert path.exists()
    assert drained(Drain(folder_at(tmp_path, "a/b"), []), clock) == [1]


def test_of_a_refused_key_one_frame_is_tried(tmp_path: Path) -> None:
    left_behind(tmp_path, frame(1), frame(2))
    drain = Drain(folder_at(tmp_path), [])
    assert drain.due(set(), {KEY}) == []
    assert [one.frame.seq for one in drain.due({KEY}, set())] == [1]


def test_the_rate_is_bounded(tmp_path: Path, clock: Callable[[float], None]) -> None:
    left_behind(tmp_path, *(frame(seq, 60_000) for seq in range(1, 5)))
    drain = Drain(folder_at(tmp_path), [])
    first = drain.due(set(), set())
    for one in first:
        drain.accepted(one)
    left_behind(tmp_path, frame(5))
    assert drain.due(set(), set()) == []
    assert 0 < drain.seconds() < 1
    clock(1)
    assert [one.frame.seq for one in drain.due(set(), set())] == [5]


def test_the_bound_is_for_all_processes_together(tmp_path: Path, clock: Callable[[float], None]) -> None:
    shelves = [Shelf(folder_at(tmp_path)) for _ in range(2)]
    taken = [0, 0]
    for turn in range(60):
        number = turn % 2
        taken[number] += shelves[number].put(frame(turn + 1, 50_000))
        clock(2)
    assert sum(path.stat().st_size for path in (tmp_path / "spool").iterdir()) <= BOUND
    assert sum(taken) == BOUND // 50_300
    assert min(taken) > 0


def test_a_full_shelf_takes_frames_again_once_there_is_room(
    tmp_path: Path, clock: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    folder = folder_at(tmp_path)
    shelf, seq = Shelf(folder), 1
    while shelf.put(frame(seq, 50_000)):
        seq += 1
    assert not shelf.put(frame(seq, 50_000))
    assert caplog.text.count("TRACEQUEUE_SPOOL_BYTES") == 1
    assert drained(Drain(folder, [shelf]), clock) == list(range(1, seq))
    assert shelf.put(frame(seq, 50_000))
    assert caplog.text.count("takes frames again") == 1


def test_a_damaged_segment_is_sent_as_far_as_it_can_be_and_its_loss_counted(
    tmp_path: Path, clock: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    folder = folder_at(tmp_path)
    shelf = Shelf(folder)
    for seq in range(1, 5):
        assert shelf.put(frame(seq))
    segment = shelf.segments[0]
    length = (segment.size - segment.position) // 4
    os.pwrite(segment.fd, b"?", segment.position + length + 5)  # in the header of the second
    os.ftruncate(segment.fd, segment.size - 1)
    assert drained(Drain(folder, [shelf]), clock) == [1, 3]
    assert (shelf.events, shelf.sent, shelf.lost) == (0, 4, 4)
    assert f"skipped {2 * length} damaged bytes" in caplog.text
    assert not list(folder.path.iterdir())


def test_what_is_no_segment_stays_where_it_is(
    tmp_path: Path, clock: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = left_behind(tmp_path, frame(1))
    folder = path.parent
    named = path.name.rsplit("-", 1)[0]
    (folder / f"{named}-newer.spool").write_bytes(b"tqspool\x02 of a later version")
    (folder / f"{named}-link.spool").symlink_to(tmp_path / "elsewhere")
    (folder / f"{named}-folder.spool").mkdir()
    (folder / "notes.txt").write_text("mine")
    assert drained(Drain(folder_at(tmp_path), []), clock) == [1]
    assert len(list(folder.iterdir())) == 4
    assert caplog.text.count(f"{named}-newer.spool (no file of this version's spool); it stays where it is") == 1


def test_an_empty_file_is_removed_once_its_maker_must_be_dead(tmp_path: Path) -> None:
    path = left_behind(tmp_path, frame(1))
    os.truncate(path, 0)
    assert folder_at(tmp_path).adopt() is None
    assert path.exists()
    os.utime(path, (0, time.time() - EMPTY_SECONDS - 1))
    assert folder_at(tmp_path).adopt() is None
    assert not path.exists()


@pytest.mark.parametrize("way", ["a file", "a full disk"])
def test_a_disk_that_takes_nothing_is_said_once(
    tmp_path: Path, way: str, clock: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    folder = folder_at(tmp_path)
    shelf = Shelf(folder)
    if way == "a file":
        folder.path.write_text("no folder")
    else:
        assert shelf.put(frame(1))
        os.close(shelf.segments[0].fd)
        shelf.segments[0].fd = os.open("/dev/full", os.O_RDWR)
    for seq in (2, 3):
        assert not shelf.put(frame(seq))
        clock(2)
    assert caplog.text.count("takes no frames") == 1
