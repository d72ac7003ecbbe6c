"""Hides secrets in the events of a frame, in the publisher's thread: first the built-in rules, then the user's hook."""

import logging
from typing import Any, Final

import orjson
from pydantic import ValidationError

from tracequeue.encoding.notes import Notes, child, note
from tracequeue.encoding.text import type_name
from tracequeue.events import ANY_EVENT, NAME_LENGTH
from tracequeue.frame import MAX_EVENT_BYTES
from tracequeue.redaction.prefilter import suspicious_lines
from tracequeue.redaction.secrets import REDACTED, hide, is_secret
from tracequeue.settings import Redactor

logger = logging.getLogger("tracequeue")

STRUCTURE: Final = frozenset(
    {
        *("type", "trace_id", "span_id", "parent_span_id", "start_time", "end_time", "duration_ms"),
        *("status", "success", "span_count", "dropped", "parent"),
    }
)
"""What makes an event an event. No rule and no hook changes it."""
NAMES: Final = ("span_name", "pipeline_name")
FAILED: Final = "[redaction failed]"
CONTENT: Final = {
    "input_data": FAILED,
    "output_data": FAILED,
    "error": FAILED,
    "attributes": {"tracequeue.redaction": FAILED},
    "metadata": {"tracequeue.redaction": FAILED},
    "tags": None,
    "session_id": None,
}
"""What stands in an event instead of its content when the content cannot be made safe."""
TRACE_NOTES: Final = "tracequeue.truncated"
"""The member of a trace's metadata that holds its notes: trace events have no field for them."""


class _Unsafe(Exception):
    """The content of an event could not be made safe. The text never quotes what the hook said: it may be a secret."""


def redact(body: bytes, redactor: Redactor | None = None) -> bytes:
    """The NDJSON of a frame without its secrets; as many lines as before.

    An event whose redaction fails goes without its content, which is noted in it and logged once a frame.
    A line that is no JSON object is left as it is.
    """
    chosen = range(body.count(b"\n") + 1) if redactor else suspicious_lines(body)
    if not chosen:
        return body
    lines = body.split(b"\n")
    failures = []
    for index in chosen:
        try:
            lines[index] = _redact_line(lines[index], redactor)
        except (_Unsafe, RecursionError) as failure:
            failures.append(failure)
            lines[index] = _without_content(lines[index])
    if failures:
        logger.error("%d events sent without content: redaction failed (%s)", len(failures), failures[0])
    return b"\n".join(lines)


def _redact_line(line: bytes, redactor: Redactor | None) -> bytes:
    event = _event(line)
    if event is None:
        return line
    rules = _Rules()
    redacted = rules.event(event)
    if redactor is None and not rules.notes:
        return line
    _add_notes(redacted, rules.notes)
    if redactor is not None:
        redacted = _call(redactor, redacted)
    return _line(redacted)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


class _Rules:
    """The built-in rules, applied to one event; `notes` say where something was hidden."""

    def __init__(self) -> None:
        self.notes: Notes = {}

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, value in event.items():
            if name in STRUCTURE:
                result[name] = value
            elif name == "truncated":
                result[name] = self._value(value, name, by_key=False)
            else:
                result[name] = self._value(value, name)
        for name in NAMES:
            if name in result and isinstance(result[name], str):
                result[name] = result[name][:NAME_LENGTH]
        return result

    def _value(self, value: Any, path: str, *, by_key: bool = True) -> Any:
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, list):
            return [self._value(item, f"{path}[{index}]", by_key=by_key) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return self._members(value, path, by_key)
        return value

    def _members(self, members: dict[str, Any], path: str, by_key: bool) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in members.items():
            name = self._key(key, result, path)
            place = child(path, name)
            if by_key and is_secret(key, value):
                result[name] = REDACTED
                note(self.notes, place, "redacted", 1)
            else:
                result[name] = self._value(value, place, by_key=by_key and name != TRACE_NOTES)
        return result

    def _text(self, text: str, path: str) -> str:
        text, count = hide(text)
        if count:
            note(self.notes, path, "redacted", count)
        return text

    def _key(self, key: str, taken: dict[str, Any], path: str) -> str:
        name, count = hide(key)
        if not count:
            return key
        number, text = 1, name
        while name in taken:
            number += 1
            name = f"{text} ({number})"
        note(self.notes, child(path, name), "key", "redacted")
        return name


def _add_notes(event: dict[str, Any], found: Notes) -> None:
    """Notes of redaction stand beside those of the encoder, which has its own bound."""
    if not found:
        return
    holder, name = event, "truncated"
    if event.get("type") != "span":
        holder, name = event.setdefault("metadata", {}), TRACE_NOTES
    if isinstance(holder, dict):
        notes = holder.get(name)
        notes = dict(notes) if isinstance(notes, dict) else {}
        for path, facts in found.items():
            known = notes.get(path)
            notes[path] = known | facts if isinstance(known, dict) and isinstance(facts, dict) else facts
        holder[name] = notes


def _call(redactor: Redactor, event: dict[str, Any]) -> dict[str, Any]:
    """What the hook makes of an event. Its structure stays."""
    structure = {name: event[name] for name in STRUCTURE if name in event}
    try:
        result = redactor(event)
        content = dict(result) if isinstance(result, dict) else None
    except BaseException as error:  # a hook must not end the publisher's thread, whatever it raises
        raise _Unsafe(f"the redactor raised {type_name(error)}") from None
    if content is None:
        raise _Unsafe("the redactor returned no dict")
    return {name: value for name, value in content.items() if name not in STRUCTURE} | structure


def _line(event: dict[str, Any]) -> bytes:
    """An event as the wire wants it: the hook may have made anything of it, and hiding may have made it longer."""
    try:
        line = orjson.dumps(event)
        ANY_EVENT.validate_json(line)
    except (TypeError, ValidationError) as error:
        raise _Unsafe(f"the result is no event: {type_name(error)}") from None
    if len(line) > MAX_EVENT_BYTES:
        raise _Unsafe("the result is too large")
    if b"\\u0000" in line.replace(rb"\\", b""):
        raise _Unsafe("the result holds a NUL character")
    return line


def _without_content(line: bytes) -> bytes:
    event: dict[str, Any] = orjson.loads(line)
    for name in CONTENT.keys() & event.keys():
        event[name] = CONTENT[name]
    event.pop("truncated", None)
    _add_notes(event, {"redaction": {"failed": "content removed"}})
    return orjson.dumps(event)
