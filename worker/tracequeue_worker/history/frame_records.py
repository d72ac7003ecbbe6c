"""Stream entries as lines of a file, and back: the same emitter, number, digest and events come out as went in."""

import base64
from typing import Any, Final, NamedTuple

import orjson

from tracequeue.errors import FrameRejected
from tracequeue.frame import MAX_ENTRY_BYTES, MAX_EVENTS, Frame, unpack
from tracequeue_worker.bounds import is_entry_id
from tracequeue_worker.errors import Damaged
from tracequeue_worker.history.file_format import LEFT_OUT, MAX_RECORD_BYTES, integer, text
from tracequeue_worker.records import Entry

_KNOWN_FIELDS: Final = {b"v", b"enc", b"n", b"src", b"seq", b"acct", b"meta", b"body"}
"""The fields of an ordinary frame, as docs/wire-format.md has them."""
_END_OF_TIME: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""
_LARGEST_READABLE: Final = MAX_ENTRY_BYTES // 2
"""Of a body, decompressed: with all else around it, it is still an entry that the decoder takes."""
_LARGEST_OTHERS: Final = 64 * 1024


class FrameLine(NamedTuple):
    """A line for a file. `at` is when Redis took the entry, in microseconds since the epoch."""

    line: bytes
    events: int
    at: int


def frame_line(entry: Entry) -> FrameLine:
    """A frame that can be read is written readably; any other entry is kept as it is, byte for byte."""
    try:
        frame = unpack(entry.fields)
    except FrameRejected:
        frame = None
    events = len(frame.lines) if frame else 0
    place = {"entry": entry.id.decode(), "stream": entry.stream.decode(), "partition": entry.partition, "n": events}
    line = _readable(place, entry, frame) if frame else None
    return FrameLine((line or _verbatim(place, entry)) + b"\n", events, moment_of(entry.id))


def moment_of(entry_id: bytes) -> int:
    """When Redis took an entry, in microseconds since the epoch; a chosen id can lie beyond all calendars."""
    return min(int(entry_id.partition(b"-")[0]) * 1000, _END_OF_TIME)


def _readable(place: dict[str, Any], entry: Entry, frame: Frame) -> bytes | None:
    """None where the frame would not come out again exactly as it is."""
    emitter_id, account, others = frame.emitter_id, frame.account, entry.size - len(entry.fields[b"body"])
    if emitter_id is None or account is None or not entry.fields.keys() <= _KNOWN_FIELDS:
        return None
    if len(frame.body) > _LARGEST_READABLE or others > _LARGEST_OTHERS:
        return None
    content = {
        "src": emitter_id.hex,
        "seq": frame.seq,
        "acct": {"emitted": account.emitted, "lost": account.lost, "spooled": account.spooled},
        "meta": frame.meta,
    }
    try:
        return orjson.dumps(place | content | {"body": frame.body.decode()})
    except (UnicodeDecodeError, orjson.JSONEncodeError):
        return None


def _verbatim(place: dict[str, Any], entry: Entry) -> bytes:
    if entry.size <= MAX_RECORD_BYTES:
        line = orjson.dumps(place | {"fields": [[_value(name), _value(value)] for name, value in entry.fields.items()]})
        if len(line) < MAX_RECORD_BYTES:
            return line
    return orjson.dumps(place | {LEFT_OUT: f"an entry of {entry.size} bytes"})


def measure(record: dict[str, Any]) -> tuple[int, int]:
    """The events and the time of a line. Raises `Damaged`."""
    return integer(record, "n", most=MAX_EVENTS), moment_of(_entry_id(record))


def entry_of(record: dict[str, Any]) -> Entry:
    """The entry of a line. Raises `Damaged`."""
    partition = integer(record, "partition", most=2**31 - 1)
    fields = _original(record["fields"]) if "fields" in record else _fields(record)
    return Entry(text(record, "stream").encode(), partition, _entry_id(record), fields)


def _entry_id(record: dict[str, Any]) -> bytes:
    entry_id = text(record, "entry").encode()
    if not is_entry_id(entry_id):
        raise Damaged("`entry` is no entry id")
    return entry_id


def _fields(record: dict[str, Any]) -> dict[bytes, bytes]:
    try:
        return {
            b"n": b"%d" % integer(record, "n", most=MAX_EVENTS),
            b"src": text(record, "src").encode(),
            b"seq": b"%d" % integer(record, "seq", most=2**63 - 1),
            b"acct": orjson.dumps(record.get("acct", {})),
            b"meta": orjson.dumps(record.get("meta", {})),
            b"body": text(record, "body").encode(),
        }
    except orjson.JSONEncodeError:
        raise Damaged("`acct` or `meta` is nested too deep") from None


def _original(fields: Any) -> dict[bytes, bytes]:
    try:
        return {_bytes(name): _bytes(value) for name, value in fields}
    except (TypeError, ValueError, KeyError):
        raise Damaged("`fields` is no list of names and values") from None


def _value(content: bytes) -> str | dict[str, str]:
    """Text where the bytes are UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _bytes(value: str | dict[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"], validate=True)
