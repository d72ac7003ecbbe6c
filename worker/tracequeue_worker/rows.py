"""Validated event -> row, in the order of the columns."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tracequeue.events import SpanEvent, TraceEnded, TraceStarted
from tracequeue_worker.foreign import Refused
from tracequeue_worker.line_structs import EndedLine, SpanLine, StartedLine
from tracequeue_worker.records import SpanRow, TraceRow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: int | datetime) -> int:
    """Microseconds since the epoch, exact."""
    return moment if isinstance(moment, int) else (moment - EPOCH) // MICROSECOND


def span_row(line: int, event: SpanEvent | SpanLine, trace_id: str, start: int, end: int) -> SpanRow:
    """Made by `_make`, in half of the time that its constructor takes."""
    return SpanRow._make(
        (
            line,
            trace_id,
            event.span_id,
            event.parent_span_id,
            event.span_name,
            event.kind,
            start,
            end,
            event.duration_ms,
            event.status,
            event.success,
            event.error,
            _json(event.input_data),
            _json(event.output_data),
            _json(event.attributes),
            _json(event.truncated),
        )
    )


def started_row(line: int, event: TraceStarted | StartedLine, trace_id: str, start: int) -> TraceRow:
    return TraceRow(
        line,
        trace_id,
        start,
        event.pipeline_name,
        event.telegram_id,
        event.user_id,
        event.session_id,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        _json(event.metadata),
        event.tags,
        event.parent,
    )


def ended_row(line: int, event: TraceEnded | EndedLine, trace_id: str, start: int, end: int) -> TraceRow:
    return TraceRow(
        line,
        trace_id,
        start,
        event.pipeline_name,
        event.telegram_id,
        event.user_id,
        event.session_id,
        end,
        event.duration_ms,
        event.status,
        event.success,
        event.error,
        event.span_count,
        _json(event.dropped),
        _json(event.metadata),
        event.tags,
        event.parent,
    )


def _json(value: Any) -> bytes | None:
    """A copy, of its own size. orjson writes into a kilobyte and gives back what is left: kept by the thousands, its
    results leave as many holes in the memory, which made a worker three times as large and a third slower."""
    if value is None:
        return None
    try:
        return bytes(memoryview(orjson.dumps(value)))
    except orjson.JSONEncodeError as error:
        raise Refused("too_large", f"a value that cannot be written: {error}") from None
