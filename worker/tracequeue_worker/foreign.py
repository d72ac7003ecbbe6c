"""JSON that Postgres or orjson refuses, as far as it can be saved. Our emitter never sends it; other producers may.

NUL characters and lone surrogates become U+FFFD, NaN and infinities null, integers beyond 64 bits text. What was
replaced is said in the event: a span's `truncated`, or `tracequeue.truncated` in a trace's metadata.
"""

import json
import math
import re
from typing import Any

from tracequeue.encoding.text import cleaned
from tracequeue.frame import Frame

MOST_NOTES = 50
PATH_LENGTH = 200
ESCAPED_NUL = b"\\u0000"
_LONG_NUMBER = re.compile(rb"\d{20}")


class Refused(Exception):
    """One event cannot be stored. `reason` is a short code of docs/wire-format.md."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason
        self.error = error


def suspicious(frame: Frame) -> bool:
    """Whether the quick parser would let something through that cannot be stored, or would round a number.

    Long numbers are looked for only in frames without an emitter: the search costs more than the parsing. From the end,
    CPython finds the few characters of a NUL in a third of the time.
    """
    return frame.body.rfind(ESCAPED_NUL) >= 0 or (frame.seq == 0 and bool(_LONG_NUMBER.search(frame.body)))


def read_foreign(line: bytes) -> Any:
    """Parse a line leniently and clean it. Raises `Refused`."""
    try:
        value = json.loads(line.decode("utf-8"))
        notes: dict[str, str] = {}
        value = clean(value, "", notes)
    except UnicodeDecodeError as error:
        raise Refused("encoding", f"the line is not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise Refused("too_large", "the line is nested too deep") from None
    except json.JSONDecodeError as error:
        raise Refused("undecodable", f"the line is not JSON: {error.msg} at character {error.pos}") from None
    except ValueError:
        raise Refused("undecodable", "the line holds a number of too many digits") from None
    if notes and isinstance(value, dict):
        _say(value, notes)
    return value


def clean(value: Any, path: str = "", notes: dict[str, str] | None = None) -> Any:
    """The value with what Postgres refuses replaced; `notes` takes what and where."""
    notes = {} if notes is None else notes
    if isinstance(value, str):
        return _clean_text(value, path, notes)
    if isinstance(value, dict):
        return {
            _clean_text(name, path, notes): clean(item, f"{path}.{name}" if path else name, notes)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [clean(item, f"{path}.{index}", notes) for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        _note(notes, path, f"{value} replaced by null")
        return None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        _note(notes, path, "integer beyond 64 bits replaced by text")
        return str(value)
    return value


def _clean_text(text: str, path: str, notes: dict[str, str]) -> str:
    storable, replaced = cleaned(text)
    if replaced:
        _note(notes, path, f"{replaced} characters replaced by U+FFFD")
    return storable


def _note(notes: dict[str, str], path: str, what: str) -> None:
    if len(notes) < MOST_NOTES:
        notes[cleaned(path[:PATH_LENGTH])[0]] = what


def _say(event: dict[str, Any], notes: dict[str, str]) -> None:
    if event.get("type") == "span":
        home, name = event, "truncated"
    else:
        home, name = event.setdefault("metadata", {}) or {}, "tracequeue.truncated"
        event["metadata"] = home
    if isinstance(home, dict):
        said = home.get(name)
        home[name] = {**said, **notes} if isinstance(said, dict) else notes
