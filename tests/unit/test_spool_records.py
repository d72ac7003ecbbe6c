"""A segment of the spool, whatever happened to its bytes: what is read is what was written, or says that it is not."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracequeue.errors import FrameRejected
from tracequeue.frame import identity, pack, unpack
from tracequeue.outgoing import Outgoing
from tracequeue.spool import records
from tracequeue.spool.records import FILE_HEAD, encode, next_record

EMITTER = "0123456789abcdef" * 2
BODIES = st.lists(st.binary(max_size=60), min_size=1, max_size=6)
MARKED = records.MARK + b"a body that looks like a record" + records.MARK


def frame(seq: int, body: bytes) -> Outgoing:
    fields = pack(body, seq % 5, emitter_id=EMITTER, seq=seq, account=b'{"emitted":9}', meta=b"{}", compress=False)
    return Outgoing(f"{{tracequeue:{seq % 2}}}:events", seq, seq % 5, fields)


@contextmanager
def segment(content: bytes) -> Iterator[int]:
    with TemporaryFile() as file:
        os.write(file.fileno(), content)
        yield file.fileno()


def read(content: bytes) -> list[Outgoing]:
    found = []
    with segment(content) as fd:
        place = len(FILE_HEAD)
        while record := next_record(fd, place):
            assert place <= record.start < record.end <= len(content)
            found.append(record.frame)
            place = record.end
    return found


def is_damaged(frame: Outgoing) -> bool:
    return frame.fields.get(b"enc") == records.DAMAGED


def assert_never_wrong(written: list[Outgoing], found: list[Outgoing]) -> None:
    """In order, each once, as written or known to be damaged: and then with the number and the events that it had."""
    by_number = {frame.seq: frame for frame in written}
    numbers = [frame.seq for frame in found]
    assert numbers == sorted(set(numbers))
    for one in found:
        original = by_number[one.seq]
        assert (one.key, one.events) == (original.key, original.events)
        if is_damaged(one):
            assert identity(one.fields) == identity(original.fields)
            assert one.fields[b"n"] == original.fields[b"n"]
            with pytest.raises(FrameRejected, match="damaged on disk"):
                unpack(one.fields)
        else:
            assert one.fields == original.fields


@given(BODIES)
@example([MARKED, b""])
def test_what_was_written_is_read(bodies: list[bytes]) -> None:
    written = [frame(seq, body) for seq, body in enumerate(bodies, 1)]
    assert read(FILE_HEAD + b"".join(map(encode, written))) == written


@given(BODIES, st.floats(0, 1))
@example([MARKED], 0.999)
def test_a_torn_tail_takes_only_the_frame_it_tore(bodies: list[bytes], where: float) -> None:
    written = [frame(seq, body) for seq, body in enumerate(bodies, 1)]
    records = [encode(one) for one in written]
    cut = len(FILE_HEAD) + int(where * len(b"".join(records)))
    whole, end = 0, len(FILE_HEAD)
    for record in records:
        end += len(record)
        whole += end <= cut
    assert read((FILE_HEAD + b"".join(records))[:cut]) == written[:whole]


@given(BODIES, st.integers(0, 10_000), st.integers(1, 255))
@example([MARKED, b"next"], 70, 1)
def test_any_flipped_byte_harms_only_its_frame(bodies: list[bytes], place: int, flip: int) -> None:
    written = [frame(seq, body) for seq, body in enumerate(bodies, 1)]
    records = [encode(one) for one in written]
    content = bytearray(FILE_HEAD + b"".join(records))
    place = len(FILE_HEAD) + place % (len(content) - len(FILE_HEAD))
    content[place] ^= flip
    found = read(bytes(content))
    assert_never_wrong(written, found)
    hit, end = 0, len(FILE_HEAD)
    while (end := end + len(records[hit])) <= place:
        hit += 1
    intact = {one.seq for one in found if not is_damaged(one)}
    assert intact == {one.seq for one in written} - {hit + 1}


@given(BODIES, st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=40)), max_size=8), st.integers(0, 200))
def test_any_damage_at_all_yields_no_wrong_frame(
    bodies: list[bytes], overwrites: list[tuple[int, bytes]], cut: int
) -> None:
    written = [frame(seq, body) for seq, body in enumerate(bodies, 1)]
    content = bytearray(FILE_HEAD + b"".join(map(encode, written)))
    for place, junk in overwrites:
        start = len(FILE_HEAD) + place % len(content)
        content[start : start + len(junk)] = junk
    assert_never_wrong(written, read(bytes(content[: max(len(FILE_HEAD), len(content) - cut)])))


@given(st.binary(max_size=300))
def test_junk_is_no_record(junk: bytes) -> None:
    assert read(FILE_HEAD + junk) == []


def test_a_record_behind_much_junk_is_found() -> None:
    junk = b"x" * (3 * records.BLOCK_BYTES - 1)
    assert read(FILE_HEAD + junk + encode(frame(1, b"{}"))) == [frame(1, b"{}")]


def test_a_length_that_cannot_be_is_not_believed() -> None:
    key = b"key"
    head = records.HEAD.pack(records.MARK, bytes(16), 1, 1, len(key), 2**32 - 1, 0) + key
    assert read(FILE_HEAD + head + records.CHECKSUM.pack(records.crc32(head)) + b"x" * 100) == []
