"""How many of a producer's latest records the store refused: when they are too many to be single bad records."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Self

from tracequeue_worker.records import DecodedFrame, Rejection

MOST_IN_A_ROW: Final = 100
WINDOW: Final = 1_000
MOST_IN_WINDOW: Final = WINDOW // 2


def refused_by_store(rejections: Iterable[Rejection]) -> list[Rejection]:
    """What decoding refused is no sign of what the store will do with the rest."""
    return [one for one in rejections if one.reason == "suspect" or one.reason.startswith("store:")]


class Refusals:
    """Refusals in a row, and among the latest records. It counts whole frames, and lets go of them as a whole."""

    def __init__(self) -> None:
        self.refused = 0
        self._in_a_row = 0
        self._records = 0
        self._frames: deque[tuple[int, int]] = deque()
        self._error = ""

    @property
    def too_many(self) -> bool:
        return self._in_a_row >= MOST_IN_A_ROW or self.refused > MOST_IN_WINDOW

    def add(self, frame: DecodedFrame, refusals: Sequence[Rejection]) -> None:
        """The outcome of a frame: which of its rows the store refused."""
        refused = {one.index for one in refusals if one.index is not None}
        lines = sorted(refused.union(row.line for rows in (frame.spans, frame.traces) for row in rows))
        last_stored = max((place for place, line in enumerate(lines, 1) if line not in refused), default=0)
        self._in_a_row = len(lines) - last_stored + (0 if last_stored else self._in_a_row)
        self._frames.append((len(lines), len(refused)))
        self._records += len(lines)
        self.refused += len(refused)
        if refusals:
            self._error = f"{refusals[-1].error} ({refusals[-1].reason})"
        while self._records - self._frames[0][0] >= WINDOW:
            records, refused_then = self._frames.popleft()
            self._records -= records
            self.refused -= refused_then

    def copy(self) -> Self:
        twin = type(self)()
        twin.__dict__ |= self.__dict__ | {"_frames": self._frames.copy()}
        return twin

    def __str__(self) -> str:
        if self._in_a_row >= MOST_IN_A_ROW:
            return f"the store refused {self._in_a_row} records in a row: {self._error}"
        return f"the store refused {self.refused} of the last {self._records} records: {self._error}"
