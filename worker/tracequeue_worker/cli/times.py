"""Times as people type them."""

import re
from datetime import UTC, datetime, timedelta

import typer

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str | None, option: str) -> datetime | None:
    """`2h` is two hours ago; anything else is ISO 8601, UTC where it names no zone."""
    if text is None:
        return None
    ago = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        parsed = datetime.fromisoformat(text)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is neither like 30m, 2h, 7d nor a date", param_hint=option) from None


def clock_time(microseconds: object) -> object:
    """A time since the epoch for people; what is none, as it is."""
    if not isinstance(microseconds, int):
        return microseconds
    try:
        return f"{datetime.fromtimestamp(microseconds / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return microseconds
