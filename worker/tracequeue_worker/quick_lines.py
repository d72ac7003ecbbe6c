"""Lines as our emitter writes them -> rows, without models. It refuses nothing: what it declines, the models judge.

What it takes, the models would take, and would make the same row of; `tests/unit/test_quick_lines.py` holds it to that.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from msgspec import MsgspecError

from tracequeue.frame import MAX_EVENT_BYTES
from tracequeue_worker.foreign import Refused
from tracequeue_worker.line_structs import ANY_LINE, CANONICAL_UUID, HEX_DIGITS, EndedLine, SpanLine, StartedLine
from tracequeue_worker.records import SpanRow, Times, TraceRow
from tracequeue_worker.rows import ended_row, span_row, started_row

NumberedLine: TypeAlias = tuple[int, bytes]
"""The index in the frame, from 0, and the JSON."""


class Declined(Exception):
    """A line that the models must judge."""


UNUSUAL: Final = (Declined, Refused, MsgspecError, UnicodeDecodeError, RecursionError)


def quick_rows(
    lines: Iterable[NumberedLine], times: Times, spans: list[SpanRow], traces: list[TraceRow]
) -> list[NumberedLine]:
    """Add the rows of the usual lines. Returns the other lines."""
    declined = []
    trace_ids: dict[str, str] = {}
    parse = ANY_LINE.decode
    for index, line in lines:
        try:
            if len(line) > MAX_EVENT_BYTES:
                raise Declined
            event = parse(line)
            trace_id = trace_ids.get(event.trace_id) or _known(event.trace_id, trace_ids)
            if isinstance(event, SpanLine):
                _check_span(event, times)
                spans.append(span_row(index, event, trace_id, event.start_time, event.end_time))
            else:
                traces.append(_trace_row(index, event, trace_id, times))
        except UNUSUAL:
            declined.append((index, line))
    return declined


def _known(trace_id: str, trace_ids: dict[str, str]) -> str:
    """Remember a trace id that is written as the store would write it."""
    if not CANONICAL_UUID.fullmatch(trace_id):
        raise Declined
    trace_ids[trace_id] = trace_id
    return trace_id


def _check_span(span: SpanLine, times: Times) -> None:
    earliest, latest = times
    if not (earliest <= span.start_time <= latest and earliest <= span.end_time <= latest):
        raise Declined
    if span.span_id.strip(HEX_DIGITS) or (span.parent_span_id and span.parent_span_id.strip(HEX_DIGITS)):
        raise Declined


def _trace_row(index: int, event: StartedLine | EndedLine, trace_id: str, times: Times) -> TraceRow:
    start = _within(event.start_time, times)
    if isinstance(event, StartedLine):
        return started_row(index, event, trace_id, start)
    return ended_row(index, event, trace_id, start, _within(event.end_time, times))


def _within(moment: int, times: Times) -> int:
    if times[0] <= moment <= times[1]:
        return moment
    raise Declined
