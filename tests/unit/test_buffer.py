"""The buffer: bounded by bytes, every line counted once."""

from tests.fixtures.buffers import Trace, buffer, drained
from tracequeue.buffer import CHUNK_BYTES, SPARE_CHUNKS, Chunk


def test_lines_come_out_in_order_and_are_counted() -> None:
    made, trace = buffer(), Trace()
    lines = [b'{"n":%d}\n' % number for number in range(50_000)]
    for line in lines:
        made.append(line, trace)
    assert made.counts() == (50_000, {}, 50_000)
    assert drained(made) == lines
    assert made.counts() == (50_000, {}, 0)
    assert (trace.emitted, trace.dropped) == (50_000, {})


def test_what_exceeds_the_bound_is_counted_with_its_reason_and_its_trace() -> None:
    made, kept, lost = buffer(2 * CHUNK_BYTES), Trace(), Trace()
    line = b"x" * 1023 + b"\n"
    for _ in range(512):
        made.append(line, kept)
    for _ in range(7):
        made.append(line, lost)
    assert made.counts() == (519, {"buffer_full": 7}, 512)
    assert (kept.dropped, lost.dropped) == ({}, {"buffer_full": 7})
    assert len(drained(made)) == 512
    made.append(line, kept)
    assert drained(made) == [line]


def test_a_bound_below_a_chunk_is_kept_too() -> None:
    """As with very many partitions, each of which has little."""
    capacity = CHUNK_BYTES // 8
    made, trace, line = buffer(capacity), Trace(), b"x" * 1023 + b"\n"
    for _ in range(2 * CHUNK_BYTES // 1024):
        made.append(line, trace)
    assert made.pressed
    assert capacity // 2 < len(b"".join(drained(made))) <= capacity


def test_a_smaller_line_still_fits_where_a_larger_one_did_not() -> None:
    made, trace = buffer(CHUNK_BYTES), Trace()
    made.append(b"x" * (CHUNK_BYTES - 11) + b"\n", trace)
    made.append(b"y" * 20 + b"\n", trace)
    made.append(b"z" * 9 + b"\n", trace)
    assert made.counts() == (3, {"buffer_full": 1}, 2)


def test_a_line_larger_than_a_chunk_gets_one_of_its_own_within_the_bound() -> None:
    made, trace = buffer(4 * CHUNK_BYTES), Trace()
    lines = [b"small\n", b"x" * 2 * CHUNK_BYTES + b"\n", b"after\n"]
    for line in lines:
        made.append(line, trace)
    made.append(b"x" * 4 * CHUNK_BYTES + b"\n", trace)
    assert made.counts() == (4, {"buffer_full": 1}, 3)
    assert drained(made) == lines
    made.append(lines[0], trace)
    chunk = made.take(partial=True)
    assert chunk is not None
    assert chunk.size == CHUNK_BYTES


def test_losses_elsewhere_are_counted_here() -> None:
    made, trace = buffer(), Trace()
    made.lose("encoder", trace)
    made.append(b"line\n", trace)
    assert made.take(partial=True) is not None
    made.count_lost("internal", 1)
    assert made.counts() == (2, {"encoder": 1, "internal": 1}, 0)
    assert trace.dropped == {"encoder": 1}


def test_only_full_chunks_are_taken_unless_asked_for_more() -> None:
    made, trace = buffer(), Trace()
    made.append(b"line\n", trace)
    assert not made.has_full
    assert made.take(partial=False) is None
    assert drained(made) == [b"line\n"]
    assert made.take(partial=True) is None


def test_it_wakes_the_publisher_for_the_first_line_and_for_each_chunk() -> None:
    woken: list[int] = []
    made, trace = buffer(wake=lambda: woken.append(1)), Trace()
    made.append(b"first\n", trace)
    assert len(woken) == 1
    made.append(b"second\n", trace)
    assert len(woken) == 1
    made.append(b"x" * CHUNK_BYTES, trace)
    assert len(woken) == 2
    assert made.has_full


def test_chunks_are_used_again_and_not_hoarded() -> None:
    made, trace = buffer(), Trace()
    for _ in range(3 * SPARE_CHUNKS):
        made.append(b"x" * (CHUNK_BYTES - 1) + b"\n", trace)
    taken = list(iter(lambda: made.take(partial=True), None))
    for chunk in taken:
        made.recycle(chunk)
    made.recycle(Chunk(2 * CHUNK_BYTES))
    for _ in range(2 * SPARE_CHUNKS):
        made.append(b"x" * (CHUNK_BYTES - 1) + b"\n", trace)
    again = list(iter(lambda: made.take(partial=True), None))
    assert len({id(chunk) for chunk in again} & {id(chunk) for chunk in taken}) == SPARE_CHUNKS


def test_after_a_reset_nothing_is_left() -> None:
    made, trace = buffer(), Trace()
    made.append(b"line\n", trace)
    made.trace_opened()
    made.reset()
    assert made.counts() == (0, {}, 0)
    assert made.open_traces == 0
    assert drained(made) == []


def test_open_traces_never_go_below_none() -> None:
    made = buffer()
    made.trace_opened()
    made.trace_closed()
    made.trace_closed()
    assert made.open_traces == 0


def test_after_the_close_lines_are_counted_as_lost_and_what_was_there_is_taken() -> None:
    made, trace = buffer(), Trace()
    made.append(b"line\n", trace)
    made.close()
    made.append(b"late\n", trace)
    assert made.counts() == (2, {"stopped": 1}, 1)
    assert drained(made) == [b"line\n"]


def test_the_last_quarter_is_for_failures_and_ends() -> None:
    made, trace = buffer(8 * CHUNK_BYTES), Trace()
    line = b"x" * 1023 + b"\n"
    for _ in range(8 * 256):
        made.append(line, trace)
    assert made.counts()[2] == 6 * 256
    for _ in range(3 * 256):
        made.append(b"e" + line[1:], trace, vital=True)
        made.append(line, trace)
    emitted, lost, waiting = made.counts()
    assert waiting == 8 * 256
    assert lost == {"buffer_full": emitted - waiting}
    assert [line[:1] for line in drained(made)] == [b"x"] * 6 * 256 + [b"e"] * 2 * 256
    made.append(line, trace)
    assert drained(made) == [line]


def test_an_ordinary_line_fits_again_when_only_the_open_chunk_was_for_failures() -> None:
    made, trace = buffer(4 * CHUNK_BYTES), Trace()
    for _ in range(3 * 256):
        made.append(b"x" * 1023 + b"\n", trace)
    made.append(b"failed\n", trace, vital=True)
    while chunk := made.take(partial=False):
        made.recycle(chunk)
    made.append(b"ordinary\n", trace)
    assert made.counts()[1] == {}
    assert drained(made) == [b"failed\n", b"ordinary\n"]


def test_it_is_pressed_when_half_of_it_waits() -> None:
    made, trace = buffer(4 * CHUNK_BYTES), Trace()
    for _ in range(3):
        assert not made.pressed
        made.append(b"x" * (CHUNK_BYTES - 1) + b"\n", trace)
    assert made.pressed
