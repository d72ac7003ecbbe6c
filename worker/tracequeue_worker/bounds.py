"""From when to when: what `--since` and `--until` mean, for entries by their ids and for rows by their times."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, Self

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LAST_SEQUENCE: Final = 2**64 - 1

AGO = re.compile(r"(\d{1,6})([smhdw])")
ENTRY_ID = re.compile(r"(\d{11,19})(?:-(\d{1,20}))?")
"""Milliseconds of this century have 12 or 13 digits. Fewer than 11 are a date, or seconds."""
WHOLE_ENTRY_ID = re.compile(rb"\d{1,20}-\d{1,20}")
OTHER_NUMBER = re.compile(r"\d{9,}|\d+-\d{1,2}")
"""What would pass for a date, or for an entry of 1970, and is neither."""


class Edge(NamedTuple):
    """A moment, or more exactly an entry of the millisecond of that moment."""

    microseconds: int
    """Since the epoch."""
    sequence: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """An entry id, whole or without its sequence, or what `moment` takes. Raises `ValueError`."""
        if entry_id := ENTRY_ID.fullmatch(text):
            return cls(int(entry_id[1]) * 1000, int(entry_id[2] or 0))
        try:
            return cls((moment(text) - EPOCH) // timedelta(microseconds=1))
        except ValueError:
            raise ValueError(f"{text!r} is neither like 30m, 2h, 7d nor a date nor an entry id") from None

    @property
    def entry_id(self) -> tuple[int, int]:
        """The first entry that does not lie before this: its milliseconds and its sequence."""
        return max(0, -(-self.microseconds // 1000)), self.sequence

    @property
    def text(self) -> str:
        """The same for the same edge, however it was typed."""
        try:
            time = EPOCH + timedelta(microseconds=self.microseconds)
        except OverflowError:
            return "{}-{}".format(*self.entry_id)
        return "{}-{}".format(*self.entry_id) if self.sequence else time.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Bounds:
    """From `since` on, and before `until`. So what one replay ends with, another can begin with."""

    since: Edge | None = None
    until: Edge | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError(f"nothing lies from {self.since.text} to before {self.until.text}")

    @classmethod
    def parse(cls, since: str | None, until: str | None) -> Self:
        """Raises `ValueError`."""
        return cls(*(None if text is None else Edge.parse(text) for text in (since, until)))

    def __bool__(self) -> bool:
        """Whether anything can lie outside."""
        return self.since is not None or self.until is not None

    @property
    def first(self) -> str:
        """Where XRANGE begins."""
        return "-" if self.since is None else "{}-{}".format(*self.since.entry_id)

    @property
    def last(self) -> str:
        """Where XRANGE ends, with this."""
        if self.until is None:
            return "+"
        milliseconds, sequence = self.until.entry_id
        if sequence:
            return f"{milliseconds}-{sequence - 1}"
        return f"{milliseconds - 1}-{LAST_SEQUENCE}" if milliseconds else "0-0"

    def holds(self, entry_id: bytes) -> bool:
        """Whether an entry lies inside."""
        place = place_of(entry_id)
        after = self.since is None or self.since.entry_id <= place
        return after and (self.until is None or place < self.until.entry_id)

    def holds_time(self, microseconds: int) -> bool:
        """Whether what happened then lies inside. Microseconds are counted from the epoch."""
        after = self.since is None or self.since.microseconds <= microseconds
        return after and (self.until is None or microseconds < self.until.microseconds)

    @property
    def text(self) -> str:
        """In words, the same for the same bounds; empty where there are none."""
        words = [f"since {self.since.text}"] if self.since is not None else []
        return " ".join([*words, f"until {self.until.text}"] if self.until is not None else words)


def is_entry_id(text: bytes) -> bool:
    """Whether it is one as Redis writes it."""
    return WHOLE_ENTRY_ID.fullmatch(text) is not None


def place_of(entry_id: bytes) -> tuple[int, int]:
    """Where an entry lies in its stream: its milliseconds and its sequence."""
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence or 0)


def is_relative(text: str | None) -> bool:
    """Whether it means another moment each time that it is typed."""
    return text is not None and AGO.fullmatch(text) is not None


def moment(text: str) -> datetime:
    """`2h` is two hours ago; anything else is ISO 8601, UTC where it names no zone. Raises `ValueError`."""
    if ago := AGO.fullmatch(text):
        try:
            return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            raise ValueError(f"{text!r} is too long ago") from None
    if OTHER_NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is no date")
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from None
