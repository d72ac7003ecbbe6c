"""The lines of the wire format that open and close a trace. A span writes its own, in span.py."""

from typing import NamedTuple

import orjson

from tracequeue.encoding import Notes, clean_text, encode
from tracequeue.trace import Trace

SESSION_LENGTH = 500
TAG_LENGTH = 200
TAG_COUNT = 50


class TraceFacts(NamedTuple):
    """What the caller said of a trace, checked."""

    pipeline_name: str
    telegram_id: int | None
    user_id: int | None
    session_id: str | None
    tags: tuple[str, ...]
    parent: str | None


def started_line(trace: Trace, facts: TraceFacts) -> bytes:
    return orjson.dumps({"type": "trace.started", **_common(trace, facts)}, option=orjson.OPT_APPEND_NEWLINE)


def ended_line(trace: Trace, facts: TraceFacts, ended_ns: int, status: str, error: str | None) -> bytes:
    """`span_count` is what was handed over after the start, lost events included; `dropped` says how many were."""
    fields = {
        "type": "trace.ended",
        **_common(trace, facts),
        "end_time": trace.microseconds(ended_ns),
        "duration_ms": (ended_ns - trace.anchor_ns) / 1e6,
        "status": status,
        "success": status == "ok",
        "span_count": trace.emitted - 1,
    }
    if error is not None:
        fields["error"] = error
    if trace.dropped:
        fields["dropped"] = trace.dropped
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _common(trace: Trace, facts: TraceFacts) -> dict[str, object]:
    fields: dict[str, object] = {
        "trace_id": str(trace.trace_id),
        "pipeline_name": facts.pipeline_name,
        "start_time": trace.start_time,
        "telegram_id": facts.telegram_id,
        "user_id": facts.user_id,
        "session_id": clean_text(facts.session_id, SESSION_LENGTH) if facts.session_id else None,
        "tags": [clean_text(tag, TAG_LENGTH) for tag in facts.tags[:TAG_COUNT]] or None,
        "parent": facts.parent,
    }
    if trace.metadata and trace.captures_details:
        fields["metadata"] = _metadata(trace)
    return {name: value for name, value in fields.items() if value is not None}


def _metadata(trace: Trace) -> orjson.Fragment:
    """The metadata, and under `tracequeue.truncated` what of it was cut: trace events have no field for that."""
    notes: Notes = {}
    encoded = encode(trace.metadata, trace.max_value_bytes, "metadata", notes)
    if notes and encoded.startswith(b"{"):
        encoded = encoded[:-1] + b"," * (len(encoded) > 2) + b'"tracequeue.truncated":' + orjson.dumps(notes) + b"}"
    return orjson.Fragment(encoded)
