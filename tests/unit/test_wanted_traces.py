"""What is taken of a frame where only some traces are wanted."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.decoded import decoded, ended_row, span_row, started_row
from tests.fixtures.frames import entry
from tracequeue.ids import new_trace_id
from tracequeue_worker.bounds import Bounds, Edge
from tracequeue_worker.errors import WorkerError
from tracequeue_worker.records import DecodedFrame, Rejection
from tracequeue_worker.replay.selection import Selection
from tracequeue_worker.replay.wanted_traces import WantedTraces

A, B, UNKNOWN = (str(new_trace_id()) for _ in range(3))
STARTS = decoded(started_row(trace_id=A, pipeline_name="mine"), started_row(trace_id=B, pipeline_name="other"))


@contextmanager
def choosing(
    pipeline: str | None = "mine", telegram_id: int | None = None, *noted: DecodedFrame
) -> Iterator[WantedTraces]:
    with closing(WantedTraces(Selection(pipeline=pipeline, telegram_id=telegram_id))) as wanted:
        for frame in noted or (STARTS,):
            wanted.note(frame)
        yield wanted


def test_a_frame_of_wanted_traces_only_is_a_retry_of_all_of_it() -> None:
    frame = decoded(span_row(trace_id=A), span_row(trace_id=A), rejections=[Rejection(2, "schema", "", A)], events=3)
    with choosing() as wanted:
        assert wanted.take(frame) == replace(frame, retry=frozenset({0, 1, 2}))


def test_of_a_mixed_frame_the_wanted_lines_are_retried() -> None:
    rejections = [Rejection(3, "schema", "", A), Rejection(4, "schema", "", B), Rejection(5, "schema", "")]
    rows = (span_row(trace_id=B), span_row(trace_id=A), span_row(trace_id=UNKNOWN))
    with choosing() as wanted:
        taken = wanted.take(decoded(*rows, rejections=rejections, events=6))
        assert taken is not None
        assert taken.retry == {1, 3}
        assert [row.span_id for row in taken.spans] == [rows[1].span_id]
        assert taken.rejections == rejections[:1]


def test_of_a_retried_frame_only_retried_lines_are_taken() -> None:
    frame = decoded(span_row(trace_id=A), span_row(trace_id=A), span_row(trace_id=B), retry=frozenset({1, 2}))
    with choosing() as wanted:
        taken = wanted.take(frame)
        assert taken is not None
        assert taken.retry == {1}
        assert wanted.take(taken) == taken


def test_nothing_is_taken_of_a_frame_of_others_or_of_one_that_nobody_can_read() -> None:
    unreadable = decoded(rejections=[Rejection(None, "undecodable", "")], events=7)
    with choosing() as wanted:
        assert wanted.take(decoded(span_row(trace_id=B))) is None
        assert wanted.take(unreadable) is None
        assert wanted.take(decoded()) is None


def test_either_event_of_a_trace_is_enough() -> None:
    later = decoded(ended_row(trace_id=B, pipeline_name="mine", telegram_id=5))
    both = decoded(ended_row(trace_id=A, pipeline_name="mine", telegram_id=6))
    with choosing("mine", 5, STARTS, later, both, STARTS) as wanted:
        assert wanted.take(decoded(span_row(trace_id=B))) is not None
        assert wanted.take(decoded(span_row(trace_id=A))) is None


def test_a_user_without_an_id_is_nobody_who_is_asked_for() -> None:
    with choosing(None, 42, decoded(started_row(trace_id=A, telegram_id=None))) as wanted:
        assert wanted.take(decoded(span_row(trace_id=A))) is None


lines = st.lists(st.sampled_from([A, B]), max_size=12)


@given(lines, lines)
def test_two_selections_that_complement_each_other_take_every_line_once(rows: list[str], refused: list[str]) -> None:
    rejections = [Rejection(len(rows) + number, "schema", "", trace) for number, trace in enumerate(refused)]
    events = len(rows) + len(refused)
    frame = decoded(*(span_row(trace_id=trace) for trace in rows), rejections=rejections, events=events)
    with choosing("mine") as mine, choosing("other") as others:
        taken = [one for one in (mine.take(frame), others.take(frame)) if one is not None]
    assert sorted(row.line for one in taken for row in one.spans) == list(range(len(rows)))
    assert sorted(one.index for part in taken for one in part.rejections) == list(range(len(rows), events))
    assert sum(len(one.retry) or one.events for one in taken) == events


def test_traces_of_which_nobody_can_say_whose_they_are() -> None:
    inside, before = (decoded(span_row(trace_id=UNKNOWN), entry=entry({}, b"%d-0" % name)) for name in (200, 100))
    with choosing() as wanted:
        for known in (A, B):
            wanted.note_spans(decoded(span_row(trace_id=known)))
        assert wanted.shortfalls() == []
        wanted.note_spans(inside)
        wanted.note_spans(decoded(span_row()))
        (sentence,) = wanted.shortfalls()
        assert sentence.startswith("2 traces have neither a start nor an end in the source")
        wanted.note(decoded(ended_row(trace_id=UNKNOWN)))
        (sentence,) = wanted.shortfalls()
        assert sentence.startswith("1 trace has")
    with closing(WantedTraces(Selection(Bounds(since=Edge(150_000)), "mine"))) as wanted:
        wanted.note_spans(before)
        assert wanted.shortfalls() == []
        wanted.note_spans(inside)
        assert len(wanted.shortfalls()) == 1


def test_a_full_disk_is_told_of_with_its_cure() -> None:
    """A file that may not grow is as full as a disk."""
    with choosing() as wanted:
        wanted._traces.execute("PRAGMA max_page_count = 20")
        many = decoded(*(started_row() for _ in range(10_000)))
        with pytest.raises(WorkerError, match="database or disk is full: give the temporary folder more room"):
            wanted.note(many)
