"""The buffer when somebody else appends meanwhile: threads, signal handlers, an object that dies."""

import gc
import signal
import sys
import threading
from itertools import count
from typing import Any

import pytest

from tests.fixtures.buffers import Trace, buffer, drained
from tracequeue.buffer import CHUNK_BYTES, Buffer


def test_many_threads_and_a_reader_lose_and_mix_nothing() -> None:
    made, seen, stop = buffer(), [], threading.Event()
    traces = [Trace() for _ in range(8)]

    def write(number: int) -> None:
        for turn in range(5_000):
            made.append(b"%d:%d\n" % (number, turn), traces[number])

    def read() -> None:
        while not stop.is_set():
            seen.extend(drained(made))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    seen += drained(made)
    assert sorted(seen) == sorted(b"%d:%d\n" % (number, turn) for number in range(8) for turn in range(5_000))
    for number in range(8):
        mine = [line for line in seen if line.startswith(b"%d:" % number)]
        assert mine == [b"%d:%d\n" % (number, turn) for turn in range(5_000)]
    assert made.counts() == (40_000, {}, 0)
    assert [trace.emitted for trace in traces] == [5_000] * 8


def test_a_signal_handler_may_append_at_any_instruction() -> None:
    made, trace, rung, ringing = buffer(), Trace(), 0, False

    def ring(*_: object) -> None:
        """On a busy machine the next signal comes before this is done; then the numbers would be out of order."""
        nonlocal rung, ringing
        if ringing:
            return
        ringing = True
        rung += 1
        made.append(b"signal %d\n" % rung, trace)
        ringing = False

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    written = 0
    try:
        while rung < 200:
            written += 1
            made.append(b"plain %d\n" % written, trace)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    lines = drained(made)
    assert [line for line in lines if line.startswith(b"plain")] == [b"plain %d\n" % n for n in range(1, written + 1)]
    assert [line for line in lines if line.startswith(b"signal")] == [b"signal %d\n" % n for n in range(1, rung + 1)]
    assert made.counts() == (written + rung, {}, 0)


LINE = b"x" * (CHUNK_BYTES * 3 // 4) + b"\n"
"""Two of them do not fit a chunk, so that appending one makes a new chunk."""


def appended_with_an_interruption(made: Buffer, trace: Trace, moment: int) -> bool:
    """Append a line, and another one at the `moment`-th begin or return of a call on the way. False: no such moment.

    Python runs signal handlers there; a profiler is called there too, in a fixed order.
    """
    seen = 0

    def profile(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == moment:
            made.append(b"signal" + LINE, trace)

    sys.setprofile(profile)
    try:
        made.append(b"plain" + LINE, trace)
    finally:
        sys.setprofile(None)
    return seen >= moment


@pytest.mark.parametrize("capacity", [32 * CHUNK_BYTES, 2 * CHUNK_BYTES])
def test_appending_again_wherever_a_call_can_be_interrupted(capacity: int) -> None:
    for moment in count(1):
        made, trace = buffer(capacity), Trace()
        made.append(b"before" + LINE, trace)
        if not appended_with_an_interruption(made, trace, moment):
            break
        emitted, lost, waiting = made.counts()
        lines = drained(made)
        assert len(set(lines)) == len(lines) == waiting == 3 - sum(lost.values()), f"at moment {moment}"
        assert set(lines) <= {word + LINE for word in (b"before", b"plain", b"signal")}, f"at moment {moment}"
        assert (emitted, trace.emitted, trace.dropped) == (3, 3, lost), f"at moment {moment}"
    assert moment > 10


@pytest.mark.parametrize("attribute", ["emitted", "dropped"])
def test_an_object_that_dies_inside_append_may_append_itself(attribute: str) -> None:
    made, trace = buffer(CHUNK_BYTES), Trace()

    class Dying:
        def __del__(self) -> None:
            made.append(b"dying\n", trace)

    class Origin(Trace):
        """Lets an object die in the middle of `append`, as a garbage collection there would."""

        def __getattribute__(self, name: str) -> Any:
            if name == attribute:
                Dying()
            return super().__getattribute__(name)

    origin = Origin()
    made.append(b"x" * 2 * CHUNK_BYTES if attribute == "dropped" else b"line\n", origin)
    gc.collect()
    emitted, lost, waiting = made.counts()
    assert emitted == waiting + sum(lost.values())
    assert emitted >= 2
    assert set(drained(made)) <= {b"line\n", b"dying\n"}
