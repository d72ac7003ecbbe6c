"""What passes between the worker's steps: entry -> decoded frame -> outcome. Rows are tuples in COPY order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self, TypeAlias
from uuid import UUID

from tracequeue.frame import Account

DAY = 86_400_000_000
"""Microseconds."""
MOST_DAYS = 366
"""On which the rows of one batch may start: a transaction locks about eight relations for each, of a server's 6,400."""

Place: TypeAlias = tuple[bytes, bytes]
"""Where an entry is: stream and id."""
Times: TypeAlias = tuple[int, int]
"""The earliest and the latest that can be stored, in microseconds since the epoch."""
Json: TypeAlias = bytes | str
"""As it was encoded, in UTF-8; of a row that comes from a file, its text."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One stream entry as Redis delivered it, in bytes."""

    stream: bytes
    partition: int
    id: bytes
    fields: Mapping[bytes, bytes]

    @property
    def place(self) -> Place:
        return self.stream, self.id

    @property
    def size(self) -> int:
        return sum(len(name) + len(value) for name, value in self.fields.items())


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one event, or with `index` None the whole frame, goes to the dead-letter stream.

    `reason` is a short code of docs/wire-format.md, `error` a bounded text, `index` the line in the frame from 0,
    `trace_id` the trace of the event, as far as it can be read.
    """

    index: int | None
    reason: str
    error: str
    trace_id: str | None = None


class SpanRow(NamedTuple):
    """Times are microseconds since the epoch; `line` is the line in the frame, from 0."""

    line: int
    trace_id: str
    span_id: str
    parent_span_id: str | None
    span_name: str
    kind: str | None
    start_time: int
    end_time: int
    duration_ms: float
    status: str
    success: bool
    error: str | None
    input_data: Json | None
    output_data: Json | None
    attributes: Json | None
    truncated: Json | None


class TraceRow(NamedTuple):
    """A started (`status` None) or ended trace. Times are microseconds since the epoch."""

    line: int
    trace_id: str
    start_time: int
    pipeline_name: str
    telegram_id: int | None
    user_id: int | None
    session_id: str | None
    end_time: int | None
    duration_ms: float | None
    status: str | None
    success: bool | None
    error: str | None
    span_count: int | None
    dropped: Json | None
    metadata: Json | None
    tags: list[str] | None
    parent: str | None


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A frame ready to be stored: its identity in the ledger, its rows, and what of it was refused already.

    A frame without an emitter has an `emitter_id` made of the hash of stream key, entry id and body, `seq` 0
    and `anonymous` True; it has no row among the emitters. `events` counts all lines, refused ones included.
    """

    entry: Entry
    emitter_id: UUID
    seq: int
    digest: bytes
    events: int
    anonymous: bool = False
    spans: list[SpanRow] = field(default_factory=list)
    traces: list[TraceRow] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    account: Account | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    retry: frozenset[int] = frozenset()
    size: int = 0
    days: frozenset[int] = field(init=False)
    """The days since the epoch on which its rows start: each is a partition."""

    def __post_init__(self) -> None:
        days = frozenset(row.start_time // DAY for rows in (self.spans, self.traces) for row in rows)
        object.__setattr__(self, "days", days)

    @property
    def rows(self) -> int:
        return len(self.spans) + len(self.traces)

    def without(self, rejections: Sequence[Rejection]) -> Self:
        """The frame with more of its lines rejected."""
        refused = {one.index for one in rejections}
        return replace(
            self,
            spans=[row for row in self.spans if row.line not in refused],
            traces=[row for row in self.traces if row.line not in refused],
            rejections=sorted([*self.rejections, *rejections], key=lambda one: -1 if one.index is None else one.index),
        )


@dataclass(frozen=True, slots=True)
class Stored:
    """A frame that is committed, and what of it must now be dead-lettered before it is acknowledged."""

    frame: DecodedFrame
    rejections: list[Rejection] = field(default_factory=list)
    known: bool = False
    """The ledger already held this frame: nothing was written again."""
    earlier: bytes = b""
    """The entry by which it may have been settled before, with its dead letters; empty for a frame that is new."""
