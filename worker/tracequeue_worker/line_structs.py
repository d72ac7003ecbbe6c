"""The events of the wire format as structs: a line is parsed and checked in one step, without a model in between.

They take what an emitter of ours writes, and nothing that the models of `tracequeue.events` would not take; what else
those let through (times as text, fields nobody knows) is theirs to judge. A struct has a model's attributes by name.
"""

import re
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct
from msgspec.json import Decoder

from tracequeue.events import INT64, NAME_LENGTH

CANONICAL_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HEX_DIGITS: Final = "0123456789abcdef"

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)]
Integer: TypeAlias = Annotated[int, Meta(ge=-INT64, le=INT64 - 1)]
Count: TypeAlias = Annotated[int, Meta(ge=0, lt=2**31)]
Duration: TypeAlias = Annotated[float, Meta(ge=0)]
SixteenCharacters: TypeAlias = Annotated[str, Meta(min_length=16, max_length=16)]
"""A span's id, as far as a struct checks it: a pattern would cost 0.4 us."""
Status: TypeAlias = Literal["ok", "error", "cancelled"]


class Line(Struct, tag_field="type", forbid_unknown_fields=True, gc=False):
    """Any of the three. `trace_id` is not checked yet: many lines have the same."""

    trace_id: str


class TraceLine(Line, kw_only=True):
    pipeline_name: Name
    start_time: Integer
    telegram_id: Integer | None = None
    user_id: Integer | None = None
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None
    parent: str | None = None


class StartedLine(TraceLine, tag="trace.started", kw_only=True):
    pass


class EndedLine(TraceLine, tag="trace.ended", kw_only=True):
    end_time: Integer
    duration_ms: Duration
    status: Status
    success: bool
    error: str | None = None
    span_count: Count | None = None
    dropped: dict[str, Count] | None = None


class SpanLine(Line, tag="span", kw_only=True):
    span_id: SixteenCharacters
    parent_span_id: SixteenCharacters | None = None
    span_name: Name
    kind: str | None = None
    start_time: Integer
    end_time: Integer
    duration_ms: Duration
    status: Status
    success: bool
    error: str | None = None
    input_data: Any = None
    output_data: Any = None
    attributes: dict[str, Any] | None = None
    truncated: dict[str, Any] | None = None

    @property
    def has_hex_ids(self) -> bool:
        return not (self.span_id.strip(HEX_DIGITS) or (self.parent_span_id and self.parent_span_id.strip(HEX_DIGITS)))


ANY_LINE: Final = Decoder(StartedLine | EndedLine | SpanLine)
