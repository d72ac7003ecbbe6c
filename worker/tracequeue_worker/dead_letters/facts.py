"""The facts of a dead letter as people read them."""

from collections.abc import Mapping
from datetime import UTC, datetime


def readable(facts: Mapping[str, str | int]) -> list[tuple[str, str | int]]:
    """Names and values in their order, times as such."""
    return [(name, clock_time(value) if name == "first_seen" else value) for name, value in facts.items()]


def clock_time(microseconds: str | int) -> str | int:
    """A time since the epoch; what is none, as it is."""
    if not isinstance(microseconds, int):
        return microseconds
    try:
        return f"{datetime.fromtimestamp(microseconds / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return microseconds
