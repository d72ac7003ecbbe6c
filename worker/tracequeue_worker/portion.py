"""How much of a batch is written at once: a batch that is too much for the store's deadlines would fail for ever."""

from typing import Final

PATIENCE: Final = 3
"""Failures in a row until less is tried. An outage fails too, and then small portions cost nothing."""


class Portion:
    """All of a batch; after failures in a row half of it, a quarter, down to one frame; after each success twice."""

    def __init__(self) -> None:
        self._pieces = 1
        self._failures = 0

    def of(self, frames: int) -> int:
        """How many of so many frames: at least one."""
        return max(1, frames // self._pieces)

    def failed(self, frames: int) -> None:
        """So many frames were tried."""
        self._failures += 1
        if self._failures % PATIENCE == 0 and frames > 1:
            self._pieces *= 2

    def written(self) -> None:
        self._failures = 0
        self._pieces = max(1, self._pieces // 2)
