"""What the queries of the read side are bounded by: conditions that were asked for, and the time inside a trace id."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from tracequeue_worker.rows import EPOCH

Conditions: TypeAlias = Sequence[tuple[str, Any]]
"""SQL with `{}` for each value, and the value; a tuple gives several, None leaves the condition out."""

SPAN_OF_PIPELINE = (
    "trace_id IN (SELECT trace_id FROM public.pipeline_traces "
    "WHERE pipeline_name = {} AND start_time >= {} AND start_time < {})"
)
BEGINNING, END = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(days=1)
"""How far the time inside a trace id may be from the start of its trace."""
LATEST_ID = (END - CLOCK_TOLERANCE - EPOCH) // timedelta(milliseconds=1)
"""The 48 bits of a UUIDv7 reach beyond the years that a datetime has."""


def conjunction(conditions: Conditions, *, first: int) -> tuple[str, list[Any]]:
    """The conditions whose value is not None, numbered from `first`, and their values."""
    parts: list[str] = []
    values: list[Any] = []
    for text, value in conditions:
        if value is None:
            continue
        some = value if isinstance(value, tuple) else (value,)
        number = first + len(values)
        parts.append(text.format(*(f"${number + offset}" for offset in range(len(some)))))
        values += some
    return " AND ".join(parts) or "TRUE", values


def places_of(trace_id: UUID) -> list[tuple[datetime, datetime]]:
    """Where to look for a trace: around the time in its id, if it is a UUIDv7, then everywhere."""
    everywhere = (BEGINNING, END)
    milliseconds = trace_id.int >> 80
    if trace_id.version != 7 or milliseconds >= LATEST_ID:
        return [everywhere]
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    return [(moment - CLOCK_TOLERANCE, moment + CLOCK_TOLERANCE), everywhere]
