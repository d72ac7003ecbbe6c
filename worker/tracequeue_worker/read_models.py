"""What the read side returns: traces, spans, statistics and accounts, as they are stored."""

from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, computed_field

Cursor: TypeAlias = tuple[datetime, UUID]
"""The start and the id of the last trace of a page."""


class Row(BaseModel):
    """One row. `model_dump_json()` gives it as JSON."""

    model_config = ConfigDict(frozen=True)


class Trace(Row):
    """A trace and how it stands.

    `state` is running, ok, error, cancelled or abandoned; `completeness` is complete, in flight or partial, and then
    `missing` says why.
    """

    trace_id: UUID
    pipeline_name: str
    start_time: datetime
    end_time: datetime | None
    duration_ms: float | None
    state: str
    completeness: str
    missing: str | None
    status: str | None
    success: bool | None
    error: str | None
    telegram_id: int | None
    user_id: int | None
    session_id: str | None
    span_count: int | None
    stored_spans: int
    dropped: Any
    metadata: Any
    tags: list[str] | None
    parent: str | None
    service: str | None
    environment: str | None
    release: str | None
    emitter_id: UUID | None
    created_at: datetime

    @property
    def cursor(self) -> Cursor:
        """Where the next page of a list begins."""
        return self.start_time, self.trace_id


class Span(Row):
    """One step of a trace."""

    trace_id: UUID
    span_id: str
    parent_span_id: str | None
    span_name: str
    kind: str | None
    start_time: datetime
    end_time: datetime
    duration_ms: float
    status: str
    success: bool
    error: str | None
    input_data: Any
    output_data: Any
    attributes: Any
    truncated: Any
    created_at: datetime


class Statistics(Row):
    """Of a pipeline or of a span name, over those that ended. Durations are milliseconds."""

    name: str
    count: int
    failure_share: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Failure(Row):
    """Traces that ended alike: in the same way, and with the same error but for names and numbers.

    `pattern` is what their errors have in common. `trace_id`, `last_time` and `error` (its beginning) are the newest's.
    """

    status: str
    pattern: str | None
    count: int
    people: int
    pipelines: list[str]
    last_time: datetime
    trace_id: UUID
    error: str | None


class TokenUsage(Row):
    """What calls of one language model used, in one pipeline and for one person. None: unknown.

    Tokens that were read from a cache or written to one are among `input_tokens`. `first_time` is when the first of the
    calls began.
    """

    pipeline_name: str | None
    telegram_id: int | None
    provider: str | None
    model: str | None
    calls: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    first_time: datetime


class EmitterFigures(Row):
    """What is known of an emitter's events. `emitter_id` is None for all frames that came without an emitter.

    `dead` are events in dead letters; `conflicts` are frames among them that had the number of another one.
    """

    emitter_id: UUID | None
    service: str | None
    environment: str | None
    release: str | None
    host: str | None
    pid: int | None
    started_at: datetime | None
    last_seen: datetime | None
    emitted: int
    persisted: int
    dead: int
    conflicts: int
    lost: dict[str, int] = Field(description="Events that the emitter dropped, by reason.")
    ever_spooled: int = Field(description="Events that were ever on the emitter's disk.")


class EmitterAccount(EmitterFigures):
    """What became of an emitter's events, as the store says."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def in_flight(self) -> int:
        """Events that were handed over and are nowhere yet. Zero once everything is settled."""
        return self.emitted - self.persisted - self.dead - sum(self.lost.values())


class Loss(Row):
    """Frames that disappeared from a stream before they were stored, as workers detected it."""

    stream: str
    reason: str
    frames: int
    first_detected: datetime
    last_detected: datetime
