"""How much of a batch is written at once: a batch that is too much for the store's deadlines would fail for ever."""

from typing import Final

PATIENCE: Final = 3
"""Failures in a row until less is tried. An outage fails too, and then small portions cost nothing."""


class Portion:
    """All of a batch; after failures in a row half of it, a quarter, down to one frame; after each success twice."""

    def __init__(self) -> None:
        self._pieces = 1
        self._failures = 0
        self._alone = 0

    def of(self, frames: int) -> int:
        """How many of so many frames: at least one."""
        return max(1, frames // self._pieces)

    @property
    def suspicious(self) -> bool:
        """Whether it is time to look for a record that is to blame: one frame alone failed again and again."""
        return self._alone > 0 and self._alone % PATIENCE == 0

    def failed(self, frames: int, *, may_be_a_record: bool = False) -> None:
        """So many frames were tried. Where a record may be to blame, less is tried at once."""
        self._failures += 1
        self._alone = self._alone + 1 if frames == 1 and may_be_a_record else 0
        if frames > 1 and (may_be_a_record or self._failures % PATIENCE == 0):
            self._pieces *= 2

    def written(self) -> None:
        self._failures = self._alone = 0
        self._pieces = max(1, self._pieces // 2)
