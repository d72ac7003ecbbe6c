"""Which frames the breaker holds, which it brings back, and when."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from tests.fixtures.decoded import decoded, span_row
from tracequeue_worker import breaker as module
from tracequeue_worker.breaker import BROUGHT_AT_ONCE, Breaker
from tracequeue_worker.records import DecodedFrame, Rejection, Stored
from tracequeue_worker.refusals import MOST_IN_A_ROW


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes are due as soon as nothing else is on its way."""
    monkeypatch.setattr(module, "FIRST_PROBE_SECONDS", 0.0)


def frames(producer: UUID, count: int, records: int = 50) -> list[DecodedFrame]:
    return [decoded(*(span_row() for _ in range(records)), emitter_id=producer, seq=seq) for seq in range(1, count + 1)]


def refused(frame: DecodedFrame) -> DecodedFrame:
    return frame.without([Rejection(row.line, "store:23514", "no") for row in frame.spans])


def write(breaker: Breaker, batch: Sequence[DecodedFrame], bad: UUID | None = None) -> list[Stored]:
    """As a store that refuses every record of one producer."""
    admitted = breaker.admitted(batch)
    written: list[Stored] = []
    while admitted:
        piece, admitted = admitted[: breaker.together(admitted)], admitted[breaker.together(admitted) :]
        tried = [refused(frame) if frame.emitter_id == bad else frame for frame in piece]
        out = breaker.left_out(tried)
        stored = [Stored(piece[number], tried[number].rejections) for number in range(len(piece)) if number not in out]
        breaker.learn(piece, stored)
        written += stored
    return written


def test_the_frame_past_the_limit_is_the_last() -> None:
    breaker, bad, good = Breaker(), uuid4(), uuid4()
    batch = [frame for pair in zip(frames(bad, 9), frames(good, 9), strict=True) for frame in pair]
    stored = write(breaker, batch, bad)
    letters = sum(len(one.rejections) for one in stored)
    assert letters == MOST_IN_A_ROW
    assert [one.frame.emitter_id for one in stored].count(good) == 9
    (held,) = breaker.held()
    assert (held.producer, held.frames, breaker.waiting) == (bad.hex, 7, 7)
    assert "100 records in a row: no" in held.reason


def test_a_probe_goes_alone_and_what_is_refused_stays_held() -> None:
    breaker, bad = Breaker(), uuid4()
    batch = frames(bad, 6)
    write(breaker, batch, bad)
    (place,) = breaker.wanted()
    probe = next(frame for frame in batch if frame.entry.place == place)
    assert breaker.wanted() == []
    other = frames(uuid4(), 2)
    assert breaker.together([other[0], probe, other[1]]) == 1
    assert breaker.together([probe, other[0]]) == 1
    assert write(breaker, [probe, *frames(bad, 1)], bad) == []
    assert breaker.waiting == 5


def test_a_probe_that_is_stored_brings_all_back_the_newest_first() -> None:
    breaker, bad = Breaker(), uuid4()
    batch = frames(bad, 2 + 3 * BROUGHT_AT_ONCE)
    write(breaker, batch, bad)
    (place,) = breaker.wanted()
    write(breaker, [frame for frame in batch if frame.entry.place == place])
    assert breaker.held() == []
    brought = []
    while places := breaker.wanted():
        assert len(places) <= BROUGHT_AT_ONCE
        brought += places
    rest = [frame.entry.place for frame in batch[2:] if frame.entry.place != place]
    assert sorted(brought) == sorted(rest)
    assert brought[0] == rest[-1]


def test_what_comes_back_and_is_refused_again_is_held_again() -> None:
    breaker, bad = Breaker(), uuid4()
    batch = frames(bad, 100)
    write(breaker, batch, bad)
    (place,) = breaker.wanted()
    write(breaker, [frame for frame in batch if frame.entry.place == place])
    back = set(breaker.wanted())
    stored = write(breaker, [frame for frame in batch if frame.entry.place in back], bad)
    assert sum(len(one.rejections) for one in stored) == MOST_IN_A_ROW
    assert breaker.waiting == 100 - 2 - 1 - 2


def test_the_newest_is_tried_if_one_came() -> None:
    breaker, bad = Breaker(), uuid4()
    batch = frames(bad, 40)
    write(breaker, batch, bad)
    newest = replace(batch[0], entry=decoded().entry, seq=41)
    write(breaker, [newest], bad)
    assert breaker.wanted() == [newest.entry.place]


def test_frames_that_are_gone_are_forgotten() -> None:
    breaker, bad = Breaker(), uuid4()
    write(breaker, frames(bad, 4), bad)
    while places := breaker.wanted():
        breaker.gone(places)
    assert breaker.held() == []


def test_a_probe_that_was_stored_before_says_nothing() -> None:
    breaker, bad = Breaker(), uuid4()
    batch = frames(bad, 5)
    write(breaker, batch, bad)
    (place,) = breaker.wanted()
    probe = next(frame for frame in batch if frame.entry.place == place)
    breaker.learn([probe], [Stored(probe, known=True)])
    assert breaker.waiting == 2
    (place,) = breaker.wanted()
    probe = next(frame for frame in batch if frame.entry.place == place)
    breaker.learn([probe], [Stored(probe, [Rejection(None, "seq_conflict", "")])])
    assert breaker.held()[0].frames == 1


def test_retried_events_and_heartbeats_pass() -> None:
    breaker, bad = Breaker(), uuid4()
    batch = frames(bad, 5)
    write(breaker, batch, bad)
    retried, heartbeat = replace(batch[0], retry=frozenset({0})), decoded(emitter_id=bad)
    assert breaker.admitted([retried, heartbeat]) == [retried, heartbeat]
    assert breaker.left_out([refused(retried), heartbeat]) == set()
    breaker.learn([retried, heartbeat], [Stored(retried, refused(retried).rejections), Stored(heartbeat)])
    assert breaker.waiting == 3


def test_the_nameless_of_a_stream_are_one_producer() -> None:
    breaker = Breaker()
    batch = [decoded(*(span_row() for _ in range(60)), anonymous=True, seq=0) for _ in range(4)]
    tried = [refused(frame) for frame in batch]
    assert breaker.left_out(tried) == {2, 3}
    breaker.learn(batch, [Stored(batch[number], tried[number].rejections) for number in (0, 1)])
    assert [one.producer for one in breaker.held()] == ["{tracequeue:0}:events"]


def test_a_hostile_producer_with_a_new_name_for_each_frame_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_HISTORIES", 10)
    breaker = Breaker()
    for _ in range(50):
        bad = uuid4()
        write(breaker, frames(bad, 1, records=1), bad)
    assert len(breaker._histories) == 10
