"""The fields of a dead letter: why, and the original bytes, so that it can be looked at, mended and sent again.

A refused event keeps its line in `raw`, and the frame's `meta`. A refused frame keeps its body in `raw`, still
compressed if it was, and its other fields as `field:<name>`: together they are the entry again. What was retried and
is refused again keeps the time of its first refusal, and counts.
"""

import time
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

import orjson

from tracequeue.errors import FrameRejected
from tracequeue.frame import MAX_ENTRY_BYTES, MAX_EVENT_BYTES, unpack
from tracequeue_worker.records import DecodedFrame, Entry, Rejection

HISTORY: Final = b"history"
"""The field of a retried frame that says when it was refused first, and how often it was retried."""
ERROR_BYTES: Final = 2_000
LARGEST_LINE: Final = MAX_EVENT_BYTES
LARGEST_BODY: Final = MAX_ENTRY_BYTES
LARGEST_FIELDS: Final = 64 * 1024
MOST_FIELDS: Final = 500
"""Bounds of the fields other than the body, together; beyond, the letter cannot be sent again as it is. A Redis script
can pass on about 8,000 values at once."""

Fields = dict[bytes, bytes]


def dead_letters(frame: DecodedFrame, rejections: Iterable[Rejection], worker: str) -> list[Fields]:
    """One dead letter for each rejection of a frame. `deliveries` is added where the letter is written.

    The ledger may name many events of an entry that is unreadable this time: then one letter keeps all of the entry.
    """
    rejections = list(rejections)
    lines = _lines(frame.entry) if any(rejection.index is not None for rejection in rejections) else {}
    if not lines:
        rejections = rejections[:1]
    meta = _shared_meta(frame.entry, len(rejections))
    return [_letter(frame, rejection, lines, meta, worker) for rejection in rejections]


def _letter(frame: DecodedFrame, rejection: Rejection, lines: dict[int, bytes], meta: Fields, worker: str) -> Fields:
    entry = frame.entry
    letter = {
        b"reason": rejection.reason.encode(),
        b"error": rejection.error.encode("utf-8", "replace")[:ERROR_BYTES],
        b"stream": entry.stream,
        b"entry": entry.id,
        b"worker": worker.encode(),
    }
    letter |= _identity(frame) | _history(entry)
    if rejection.index is None:
        return letter | _original_entry(entry)
    letter[b"index"] = b"%d" % rejection.index
    line = lines.get(rejection.index)
    if line is None:
        return letter | _original_entry(entry)
    return letter | _raw(line, LARGEST_LINE, len(line)) | meta


def _identity(frame: DecodedFrame) -> Fields:
    """By what the ledger knows the frame."""
    if frame.anonymous:
        return {b"frame": frame.emitter_id.hex.encode()}
    return {b"src": frame.emitter_id.hex.encode(), b"seq": b"%d" % frame.seq}


def _history(entry: Entry) -> Fields:
    """When this was refused first, and how often it was retried since."""
    try:
        history = orjson.loads(entry.fields.get(HISTORY, b"null"))
    except orjson.JSONDecodeError:
        history = None
    known = history if isinstance(history, dict) else {}
    first_seen, retries = known.get("first_seen"), known.get("retries")
    if type(first_seen) is int and type(retries) is int:
        return {b"first_seen": b"%d" % first_seen, b"retries": b"%d" % retries}
    return {b"first_seen": b"%d" % (time.time_ns() // 1000)}


def _shared_meta(entry: Entry, letters: int) -> Fields:
    """The frame's `meta` for the letters of its events, unless their copies together would be larger than any entry."""
    meta = {b"field:meta": entry.fields[b"meta"]} if b"meta" in entry.fields else {}
    return meta if _size(meta) <= LARGEST_FIELDS and _size(meta) * letters <= MAX_ENTRY_BYTES else {}


def _original_entry(entry: Entry) -> Fields:
    others = {b"field:" + name: value for name, value in entry.fields.items() if name != b"body"}
    body = entry.fields.get(b"body")
    original = _raw(body or b"", LARGEST_BODY, entry.size)
    if _size(others) <= LARGEST_FIELDS and len(others) <= MOST_FIELDS:
        return original | others
    return original | {b"resendable": b"0"} | _bounded(others)


def _raw(content: bytes, limit: int, size: int) -> Fields:
    whole = b"1" if len(content) <= limit else b"0"
    return {b"raw": content[:limit], b"size": b"%d" % size, b"resendable": whole}


def _bounded(fields: Mapping[bytes, bytes]) -> Fields:
    """The first fields, each cut, as far as the bounds go."""
    kept: Fields = {}
    room = LARGEST_FIELDS
    for name, value in islice(fields.items(), MOST_FIELDS):
        if room <= len(name):
            break
        kept[name] = value[: min(room - len(name), 4096)]
        room -= len(name) + len(kept[name])
    return kept


def _size(fields: Mapping[bytes, bytes]) -> int:
    return sum(len(name) + len(value) for name, value in fields.items())


def _lines(entry: Entry) -> dict[int, bytes]:
    """No lines if the entry is unreadable: then the ledger knows a readable one of the same number and body."""
    try:
        return dict(unpack(entry.fields).numbered)
    except FrameRejected:
        return {}
