"""How long to wait for company before something is sent: a moment after a pause, longer while much is sent.

Whoever sends has credit, which comes back with time: one sending in each `longest` seconds. With credit the wait is
short; without, it is until there is some again. So a quiet sender is quick, and a busy one sends about as often as
if it always waited for `longest`.
"""

from math import inf
from typing import Final

CREDIT: Final = 4
"""Sendings close together before the wait becomes longer: a few steps of one answer, each a moment after the other."""
SHORTEST_SECONDS: Final = 0.005
"""What belongs together comes within milliseconds: the start of a trace and its first step, or its last and its end."""


class Linger:
    """The moments are the caller's, in seconds of any clock that never goes back."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._shortest = min(SHORTEST_SECONDS, longest)
        self._restored_at = -inf
        """When all credit is there again."""

    def due(self, came_at: float) -> float:
        """When to send what came first since the last sending. It has not waited longer than `longest` then."""
        return max(came_at + self._shortest, self._restored_at - (CREDIT - 1) * self._longest)

    def sent(self, now: float) -> None:
        """Something was sent. Sendings before they were due, because much was there, leave no debt."""
        self._restored_at = min(max(self._restored_at, now) + self._longest, now + CREDIT * self._longest)
