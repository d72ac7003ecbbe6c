"""Rows of a database as lines of a file, and back."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tracequeue_worker.errors import Damaged
from tracequeue_worker.history.file_format import LEFT_OUT, MAX_RECORD_BYTES, problem
from tracequeue_worker.records import SpanRow, TraceRow

Microseconds: TypeAlias = Annotated[int, Field(ge=-62_135_596_800_000_000, le=253_402_300_799_999_999)]
"""Since the epoch, within the years 1 to 9999."""
Integer: TypeAlias = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Status: TypeAlias = Literal["ok", "error", "cancelled"]


def _uuid(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be the text of a UUID")
    return str(UUID(value))


UuidText: TypeAlias = Annotated[str, BeforeValidator(_uuid)]


class _Record(BaseModel):
    """Nothing is left out of it, and nothing is guessed: text is no number."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @property
    def size(self) -> int:
        """About so many bytes."""
        return sum(len(value) for value in self.__dict__.values() if isinstance(value, str))


class Producer(NamedTuple):
    """Who sent a trace."""

    service: str | None
    environment: str | None
    release: str | None
    emitter_id: str | None


NOBODY: Final = Producer(None, None, None, None)


class SpanRecord(_Record):
    """The columns of `SpanRow`; those that are null may be left out. JSON columns are text."""

    trace_id: UuidText
    span_id: str
    parent_span_id: str | None = None
    span_name: str
    kind: str | None = None
    start_time: Microseconds
    end_time: Microseconds
    duration_ms: float
    status: Status
    success: bool
    error: str | None = None
    input_data: str | None = None
    output_data: str | None = None
    attributes: str | None = None
    truncated: str | None = None

    def row(self, line: int) -> SpanRow:
        return SpanRow(line, **self.__dict__)


class TraceRecord(_Record):
    """The columns of `TraceRow`, and who sent it; those that are null may be left out. JSON columns are text."""

    trace_id: UuidText
    start_time: Microseconds
    pipeline_name: str
    telegram_id: Integer | None = None
    user_id: Integer | None = None
    session_id: str | None = None
    end_time: Microseconds | None = None
    duration_ms: float | None = None
    status: Status | None = None
    success: bool | None = None
    error: str | None = None
    span_count: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None
    dropped: str | None = None
    metadata: str | None = None
    tags: list[str] | None = None
    parent: str | None = None
    service: str | None = None
    environment: str | None = None
    release: str | None = None
    emitter_id: UuidText | None = None

    def row(self, line: int) -> TraceRow:
        columns = {name: value for name, value in self.__dict__.items() if name not in Producer._fields}
        return TraceRow(line, **columns)

    @property
    def producer(self) -> Producer:
        return Producer(self.service, self.environment, self.release, self.emitter_id)


SPAN: Final = "span"
TRACE: Final = "trace"


def row_line(kind: str, row: Mapping[str, Any]) -> bytes:
    """A row by column name, as the queries of an export give it."""
    columns = {name: value for name, value in row.items() if value is not None}
    line = orjson.dumps({kind: columns})
    if len(line) >= MAX_RECORD_BYTES:
        facts = {name: columns[name] for name in ("trace_id", "span_id", "start_time") if name in columns}
        line = orjson.dumps({LEFT_OUT: f"a {kind} of {len(line)} bytes", **facts})
    return line + b"\n"


def row_of(record: dict[str, Any]) -> SpanRecord | TraceRecord:
    """The row of a line. Raises `Damaged`."""
    try:
        if SPAN in record:
            return SpanRecord.model_validate(record[SPAN])
        return TraceRecord.model_validate(record[TRACE])
    except KeyError:
        raise Damaged("a line is neither a span nor a trace") from None
    except ValidationError as error:
        raise Damaged(f"a row is not as it must be: {problem(error)}") from None
