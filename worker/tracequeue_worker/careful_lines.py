"""Any line -> its row, or why it is refused. The models of the wire format judge, after foreign JSON was cleaned."""

from functools import lru_cache
from uuid import UUID

import orjson
from pydantic import ValidationError

from tracequeue.events import ANY_EVENT, SpanEvent, TraceStarted
from tracequeue.frame import MAX_EVENT_BYTES
from tracequeue_worker.foreign import Refused, read_foreign
from tracequeue_worker.records import SpanRow, Times, TraceRow
from tracequeue_worker.rows import ended_row, microseconds, span_row, started_row

_canonical = lru_cache(maxsize=1_000)(str)
"""The text of a trace id: several lines of a frame have the same."""


def careful_row(index: int, line: bytes, times: Times, odd: bool) -> tuple[SpanRow | TraceRow, int]:
    """The row of a line, and how many of its fields are unknown. Raises `Refused`.

    `odd` JSON is not left to the quick parser, which would let through what cannot be stored.
    """
    if len(line) > MAX_EVENT_BYTES:
        raise Refused("too_large", f"an event of {len(line)} bytes, the limit is {MAX_EVENT_BYTES}")
    try:
        value = read_foreign(line) if odd else orjson.loads(line)
    except orjson.JSONDecodeError:
        value = read_foreign(line)
    try:
        event = ANY_EVENT.validate_python(value)
    except ValidationError as error:
        raise Refused("schema", _first_problem(error)) from None
    unknown = len(value) - len(event.model_fields_set)
    trace_id = _canonical(event.trace_id)
    start = _in_window("start_time", microseconds(event.start_time), times)
    if isinstance(event, TraceStarted):
        return started_row(index, event, trace_id, start), unknown
    end = _in_window("end_time", microseconds(event.end_time), times)
    if isinstance(event, SpanEvent):
        return span_row(index, event, trace_id, start, end), unknown
    return ended_row(index, event, trace_id, start, end), unknown


def trace_of(line: bytes) -> str | None:
    """The trace of a refused event, so that the trace can say what it lacks."""
    try:
        return str(UUID(orjson.loads(line)["trace_id"]))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _first_problem(error: ValidationError) -> str:
    """Where the event breaks the contract and how, without the value: it may be long, or private."""
    count = error.error_count()
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))[:100] or "event"
    more = f" (and {count - 1} more)" if count > 1 else ""
    return f"{place}: {first['msg'][:200]}{more}"


def _in_window(name: str, moment: int, times: Times) -> int:
    if times[0] <= moment <= times[1]:
        return moment
    raise Refused("time_range", f"{name} {moment} is outside {times[0]}..{times[1]} microseconds since 1970")
