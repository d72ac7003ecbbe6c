"""Words of alerts: spans of time, and foreign text made fit for a message."""

from datetime import timedelta
from html import escape
from typing import Final

from tracequeue_worker.dead_letters.hidden import without_secrets
from tracequeue_worker.printable import one_line

NAME_LENGTH: Final = 64
ERROR_LENGTH: Final = 200
UNITS: Final = (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def shown_span(span: timedelta) -> str:
    """The two largest units: 3 days 2 h, 2 h 5 min, 40 s."""
    left = max(0, round(span.total_seconds()))
    parts: list[str] = []
    for unit, seconds in UNITS:
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}")
        if parts and (len(parts) == 2 or not count):
            break
    return " ".join(parts) or "0 s"


def shown_name(name: str) -> str:
    """A name that somebody else chose, as HTML."""
    return escape(_bounded(one_line(name), NAME_LENGTH), quote=False)


def shown_error(error: str) -> str:
    """An error without secrets, as one line of HTML."""
    return escape(_bounded(one_line(without_secrets(error)), ERROR_LENGTH), quote=False)


def _bounded(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
