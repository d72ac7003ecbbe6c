"""What travels: the three events of the wire format, as the contract between emitter and worker.

The emitter writes these lines by hand because it is called in the bot's hot path; the worker validates
every line against these models. `tests/contract` holds the two equal.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, TypeAdapter

INT64 = 2**63
NAME_LENGTH = 200
RFC3339_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]", re.ASCII)


def _rfc3339(value: Any) -> Any:
    """Only text that starts with a date: pydantic would guess the unit of a fraction or of digits in text."""
    if isinstance(value, datetime) or (isinstance(value, str) and RFC3339_DATE.match(value)):
        return value
    raise ValueError("must be microseconds as an integer, or RFC 3339 text with an offset")


Timestamp: TypeAlias = (
    Annotated[StrictInt, Field(ge=-INT64, lt=INT64)] | Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
)
"""Microseconds since the Unix epoch, UTC, or RFC 3339 text with an offset."""
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH)]
Identity: TypeAlias = Annotated[StrictInt, Field(ge=-INT64, lt=INT64)]
Count: TypeAlias = Annotated[StrictInt, Field(ge=0, lt=2**31)]
Duration: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""Milliseconds, from a monotonic clock."""
SpanId: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Status: TypeAlias = Literal["ok", "error", "cancelled"]
Losses: TypeAlias = dict[str, Count]
"""Events lost, by reason."""


class Event(BaseModel):
    """One line of a frame."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    trace_id: UUID


class TraceFacts(Event):
    """What is known of a trace when it starts; repeated when it ends, so that either event alone makes a row."""

    pipeline_name: Name
    start_time: Timestamp
    telegram_id: Identity | None = None
    user_id: Identity | None = None
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None
    parent: str | None = None


class TraceStarted(TraceFacts):
    type: Literal["trace.started"]


class TraceEnded(TraceFacts):
    type: Literal["trace.ended"]
    end_time: Timestamp
    duration_ms: Duration
    status: Status
    success: bool
    error: str | None = None
    span_count: Count | None = None
    dropped: Losses | None = None


class SpanEvent(Event):
    """One step of a trace. It is sent once, when it ends."""

    type: Literal["span"]
    span_id: SpanId
    parent_span_id: SpanId | None = None
    span_name: Name
    kind: str | None = None
    start_time: Timestamp
    end_time: Timestamp
    duration_ms: Duration
    status: Status
    success: bool
    error: str | None = None
    input_data: Any = None
    output_data: Any = None
    attributes: dict[str, Any] | None = None
    truncated: dict[str, Any] | None = None


AnyEvent: TypeAlias = Annotated[TraceStarted | TraceEnded | SpanEvent, Field(discriminator="type")]
ANY_EVENT: TypeAdapter[TraceStarted | TraceEnded | SpanEvent] = TypeAdapter(AnyEvent)
