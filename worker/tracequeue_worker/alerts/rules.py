"""What counts as wrong, and how often it is told: one frozen policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """The limits. Raises `ValueError` where one makes no sense.

    No pipeline is looked at for staleness unless `stale` names it: what is silent at night for some is normal, and who
    guesses wakes people.
    """

    failure_share: float = 0.2
    """Of what ended within `failure_window`: above it a pipeline fails, at half of it it does so no longer."""
    failure_window: timedelta = timedelta(minutes=15)
    failure_ended: int = 5
    """So many must have ended before a share means anything."""
    stale: Mapping[str, timedelta] = field(default_factory=dict)
    """Pipeline -> how long nothing of it may end."""
    stale_regular: int = 5
    """So many traces in the day before its last one make a pipeline one that runs regularly."""
    dead_letters_quiet: timedelta = timedelta(hours=1)
    """Without a new dead letter for so long, the next one is a matter of its own."""
    backlog_age: timedelta = timedelta(minutes=10)
    """So old may the oldest frame be that is not stored."""
    unreachable: timedelta = timedelta(minutes=1)
    """So long may a server be away before it is told: a restart is no news."""
    calm: timedelta = timedelta(minutes=5)
    """So long must all be well before it is told as over: what comes and goes is told as one."""
    reminder: timedelta | None = timedelta(days=1)
    """What lasts is told again after so long; None: never."""

    def __post_init__(self) -> None:
        if not 0 < self.failure_share < 1:
            raise ValueError(f"failure_share must be between 0 and 1, such as 0.2 for 20 %, not {self.failure_share}")
        counts = {"failure_ended": self.failure_ended, "stale_regular": self.stale_regular}
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1, not {count}")
        for name, span in self._spans().items():
            if span <= timedelta(0):
                raise ValueError(f"{name} must be longer than nothing, not {span}")
        if self.calm < timedelta(0) or self.unreachable < timedelta(0):
            raise ValueError("calm and unreachable must not be negative")

    def _spans(self) -> dict[str, timedelta]:
        named = {f"the limit of the stale pipeline {name!r}": span for name, span in self.stale.items()}
        return named | {
            "failure_window": self.failure_window, "dead_letters_quiet": self.dead_letters_quiet,
            "backlog_age": self.backlog_age, "reminder": timedelta.max if self.reminder is None else self.reminder,
        }  # fmt: skip
