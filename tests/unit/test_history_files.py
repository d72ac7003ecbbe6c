"""Files of history, whatever happened to their bytes: what is read is what was written, or it says that it is not."""

import hashlib
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.fixtures.frames import entry, frame, span
from tests.fixtures.history import begun, decompressed, frames_file, lines, read_back, read_into
from tracequeue_worker.errors import Damaged
from tracequeue_worker.history import recovery
from tracequeue_worker.history.blocks import MAGIC, MAX_BLOCK_BYTES, compressed, zstd
from tracequeue_worker.history.file_format import VERSION, Header
from tracequeue_worker.history.frame_records import frame_line
from tracequeue_worker.history.reader import CURE, NOT_OPENED, HistoryReader
from tracequeue_worker.history.recovery import recover, unfinished
from tracequeue_worker.history.writer import HistoryWriter, partial
from tracequeue_worker.records import Entry

FIRST = 1_790_000_000_000
HEAD = Header(tracequeue="frames", source=["test"])


def some(count: int) -> list[Entry]:
    """Small entries, each its own."""
    return [entry({b"body": b'{"n":%d}' % number}, b"%d-0" % (FIRST + number)) for number in range(count)]


def damage(path: Path) -> str:
    with pytest.raises(Damaged) as raised:
        read_back(path)
    return str(raised.value)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "made.jsonl.zst"
    path.write_bytes(content)
    return path


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond that: as on a full disk, writes are cut short, then refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_says_what_is_in_it_and_that_it_is_whole(tmp_path):
    entries = [entry(frame(span(), span(), seq=1), b"1790000000123-0"), entry(frame(seq=2), b"1790000000456-7")]
    path = frames_file(tmp_path / "new" / "folder", entries)
    assert path.name.startswith("frames-20260921T141320.123Z-")
    assert path.name.endswith(".jsonl.zst")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    head, first, second, end = lines(path)
    assert (head["tracequeue"], head["version"], head["source"]) == ("frames", VERSION, ["test"])
    assert path.name.split("-")[-1] == f"{head['id'].replace('-', '')[:12]}.jsonl.zst"
    assert (first["entry"], first["seq"], first["n"], first["meta"]) == ("1790000000123-0", 1, 2, {"service": "bot"})
    assert first["body"].count("\n") == 2
    assert (second["entry"], second["n"], second["body"]) == ("1790000000456-7", 0, "")
    assert (end["records"], end["events"]) == (2, 2)
    assert (end["first"], end["last"]) == (1790000000123000, 1790000000456000)
    before = b"".join(decompressed(path).splitlines(keepends=True)[:-1])
    assert end["sha256"] == hashlib.sha256(before).hexdigest()
    assert list(path.parent.iterdir()) == [path]


def test_names_sort_by_time_and_differ(tmp_path):
    early, late = entry({b"body": b"{}"}, b"1789999999999-0"), entry({b"body": b"{}"}, b"1790000000000-0")
    paths = [frames_file(tmp_path, [one]) for one in (early, early, late)]
    assert len(set(paths)) == 3
    assert sorted(paths)[-1] == paths[-1]


def test_an_unfinished_file_has_another_name_and_is_locked(tmp_path):
    writer = begun(tmp_path, some(3))
    assert [path.name for path in tmp_path.iterdir()] == [f"{writer.path.name}.partial"]
    assert recover(partial(writer.path)) is None
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_many_records_make_blocks_and_come_back_in_order(tmp_path):
    entries = [entry(frame(span(input_data="x" * 50_000), seq=number), b"%d-0" % number) for number in range(1, 100)]
    path = frames_file(tmp_path, entries)
    blocks = list(HistoryReader("it", lambda: path.open("rb")).blocks())
    assert len(blocks) > 3
    assert [one.id for one in read_back(path)] == [one.id for one in entries]


def test_every_flipped_bit_is_found_or_harmless(tmp_path):
    entries = some(4)
    path = frames_file(tmp_path, entries, each=2)
    whole = path.read_bytes()
    found_damage = 0
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        found: list[Entry] = []
        try:
            read_into(found, path)
        except Damaged:
            found_damage += 1
        else:
            assert len(found) == len(entries)
        assert found == entries[: len(found)]
    assert found_damage > len(whole) * 7


def test_of_a_file_cut_anywhere_all_whole_blocks_are_read_and_then_it_says_so(tmp_path):
    entries = some(9)
    path = frames_file(tmp_path, entries, each=3)
    whole = path.read_bytes()
    most = 0
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        found: list[Entry] = []
        with pytest.raises(Damaged):
            read_into(found, path)
        assert found == entries[: len(found)]
        assert len(found) >= most
        most = len(found)
    assert most == 9


def test_of_a_file_cut_anywhere_its_writer_goes_on_behind_the_last_whole_block(tmp_path):
    entries = some(10)
    writer = begun(tmp_path, entries[:9], each=3)
    writer.close()
    path = partial(writer.path)
    whole = path.read_bytes()
    head = len(compressed(writer.header.line()))
    for size in range(head, len(whole) + 1):
        path.write_bytes(whole[:size])
        again = recover(path)
        assert again is not None
        kept = again.totals.records
        assert kept % 3 == 0
        again.append(frame_line(entries[9]).line, events=0, at=1)
        assert read_back(again.finish()) == [*entries[:kept], entries[9]]
        writer.path.unlink()
    assert kept == 9


def test_a_writer_that_died_between_the_last_line_and_the_name_left_a_whole_file(tmp_path):
    path = frames_file(tmp_path, some(4))
    path.rename(partial(path))
    assert unfinished(tmp_path) == [partial(path)]
    again = recover(partial(path))
    assert again is not None
    assert read_back(again.finish()) == some(4)
    assert lines(path)[-1]["records"] == 4


def test_what_a_crash_tore_is_cut_off(tmp_path):
    writer = begun(tmp_path, some(4))
    writer.sync()
    writer.close()
    with partial(writer.path).open("ab") as file:
        file.write(compressed(bytes(range(256)) * 100)[:-1] + bytes(10_000))
    again = recover(partial(writer.path))
    assert again is not None
    assert read_back(again.finish()) == some(4)


def test_what_is_behind_damage_is_kept_when_the_file_is_finished(tmp_path, caplog):
    writer = begun(tmp_path, some(9), each=3)
    writer.close()
    path = partial(writer.path)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.rfind(MAGIC) - 20] ^= 1
    path.write_bytes(damaged)
    again = recover(path)
    assert again is not None
    assert read_back(again.finish()) == some(3)
    assert path.with_suffix(".unreadable").read_bytes() == damaged
    assert "is damaged at byte" in caplog.text


def test_an_unfinished_file_that_cannot_be_read_is_set_aside(tmp_path):
    path = partial(tmp_path / "frames-20260101T000000.000Z-0.jsonl.zst")
    path.write_bytes(b"something else")
    assert recover(path) is None
    assert [one.suffix for one in tmp_path.iterdir()] == [".unreadable"]


def test_an_empty_unfinished_file_is_removed_once_nobody_can_be_about_to_write_it(tmp_path, monkeypatch):
    path = partial(tmp_path / "frames-20260101T000000.000Z-0.jsonl.zst")
    path.touch()
    assert recover(path) is None
    assert path.exists()
    monkeypatch.setattr(recovery, "EMPTY_SECONDS", -1.0)
    assert recover(path) is None
    assert not path.exists()


def test_a_full_disk_leaves_what_was_written_whole_and_the_writer_goes_on_when_there_is_room(tmp_path):
    entries = [
        entry({b"body": bytes(range(33, 127)) * 20 + b"%d" % number}, b"%d-0" % number) for number in range(1, 9)
    ]
    writer = begun(tmp_path, entries[:4])
    writer.sync()
    size = writer.size
    for one in entries[4:]:
        writer.append(frame_line(one).line, events=0, at=1)
    with largest_file(size + 100):
        for attempt in (writer.sync, writer.finish):
            with pytest.raises(OSError, match=r"No space|too large"):
                attempt()
            assert partial(writer.path).stat().st_size == size
    assert read_back(writer.finish()) == entries


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"{}\n", "no file of tracequeue's"),
        (b"\x28\xb5", "damaged from its beginning"),
        (compressed(b'{"n":1}\n'), "no file of tracequeue's"),
        (compressed(b"hello\n"), "no file of tracequeue's"),
        (compressed(b"[1]\n"), "no file of tracequeue's"),
        (compressed(HEAD.line().replace(b'"version":1', b'"version":2')), "version 2 of the format"),
        (compressed(HEAD.line().replace(b'"frames"', b'"pictures"')), "first line is not as it must be"),
        (compressed(HEAD.line()), "no last line"),
        (compressed(HEAD.line()[:-1]), "does not end with a whole line"),
        (zstd.compress(HEAD.line()), "no checksum"),
        (compressed(HEAD.line()) + compressed(b"\xff\xfe\n"), "a line is no JSON"),
        (compressed(HEAD.line()) + compressed(b'{"end":true}\n'), "its last line is not as it must be"),
        (compressed(HEAD.line()) + compressed(b"[" * 100_000 + b"\n"), "a line is no JSON"),
    ],
)
def test_what_is_no_such_file_is_refused_with_its_name_and_the_cure(tmp_path, content, said):
    path = written(tmp_path, content)
    sentence = damage(path)
    assert said in sentence
    assert sentence.startswith(f"{path}: ")
    assert sentence.count("\n") == 0


def test_a_file_that_is_not_there_is_said(tmp_path):
    assert damage(tmp_path / "none").endswith("none: No such file or directory: " + NOT_OPENED)
    assert damage(tmp_path).endswith(": Is a directory: " + NOT_OPENED)


def test_only_what_a_whole_copy_would_mend_is_to_be_copied(tmp_path):
    assert CURE in damage(written(tmp_path, compressed(HEAD.line())))
    assert CURE not in damage(written(tmp_path, compressed(b"{}\n")))
    assert CURE not in damage(written(tmp_path, compressed(HEAD.line().replace(b'"version":1', b'"version":2'))))


def test_a_decompression_bomb_is_not_unpacked(tmp_path):
    bomb = compressed(b"\n" * (MAX_BLOCK_BYTES * 4))
    assert len(bomb) < 100_000
    path = written(tmp_path, compressed(HEAD.line()) + bomb)
    assert "holds more than" in damage(path)


def test_a_block_that_asks_for_much_memory_is_refused(tmp_path):
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.checksum_flag: 1}
    compressor = zstd.ZstdCompressor(options=options)
    greedy = compressor.compress(b'{"a":1}\n' * 100) + compressor.flush()
    assert "not as it was written" in damage(written(tmp_path, compressed(HEAD.line()) + greedy))


@pytest.mark.parametrize("order", [[0, 1, 2, 4], [0, 2, 1, 3, 4], [0, 1, 1, 2, 3, 4], [0, 1, 2, 3, 4, 4]])
def test_whole_blocks_taken_out_exchanged_or_repeated_are_found(tmp_path, order):
    path = frames_file(tmp_path, some(9), each=3)
    reader = HistoryReader("it", lambda: path.open("rb"))
    ends = [len(compressed(reader.header().line())), *(block.end for block in reader.blocks() if block.values)]
    whole = path.read_bytes()
    edges = [0, *ends, len(whole)]
    blocks = [whole[start:end] for start, end in pairwise(edges)]
    assert len(blocks) == 5
    path.write_bytes(b"".join(blocks[number] for number in order))
    assert "taken out, put in or exchanged" in damage(path) or "follows its last line" in damage(path)


def test_reading_goes_on_behind_a_block_and_only_there(tmp_path):
    path = frames_file(tmp_path, some(9), each=3)
    reader = HistoryReader("it", lambda: path.open("rb"))
    blocks = [block for block in reader.blocks() if block.values]
    for number, block in enumerate(blocks):
        rest = [one for later in reader.blocks(block.end) for one in later.values]
        assert rest == [one for later in blocks[number + 1 :] for one in later.values]
    with pytest.raises(Damaged, match="another file"):
        list(reader.blocks(blocks[0].end + 1))


def test_damage_before_the_place_where_it_was_read_up_to_is_found_too(tmp_path):
    path = frames_file(tmp_path, some(9), each=3)
    blocks = list(HistoryReader("it", lambda: path.open("rb")).blocks())
    content = bytearray(path.read_bytes())
    content[blocks[0].end - 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged):
        list(HistoryReader("it", lambda: path.open("rb")).blocks(blocks[-1].start))


def test_a_folder_that_takes_nothing_is_an_error_of_the_system(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"exists|directory"):
        HistoryWriter.create(tmp_path / "file", HEAD, 0)
