"""How a replay goes through a part: step by step, each with the position behind it."""

from dataclasses import dataclass
from typing import Self

from tracequeue_worker.records import DecodedFrame
from tracequeue_worker.replay.bookkeeping import Bookkeeping
from tracequeue_worker.replay.source import Taken
from tracequeue_worker.sinks.batch import Key


@dataclass(frozen=True, slots=True)
class Position:
    """A position of the source, and how many things were taken behind it: a batch may end between two positions."""

    after: str | None = None
    beyond: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        beyond, _, after = text.partition("@")
        return cls(after or None, int(beyond or 0))

    @property
    def text(self) -> str:
        return f"{self.beyond}@{self.after or ''}" if self != Position() else ""

    def behind(self, taken: Taken) -> "Position":
        """Where a replay is that was here and has taken this."""
        return Position(self.after, self.beyond + 1) if taken.position is None else Position(taken.position)


@dataclass(slots=True)
class Step:
    """One thing that was read, and what of it is to be stored."""

    position: Position
    """Behind it."""
    size: int
    frame: DecodedFrame | None = None
    """None where nothing of it is wanted."""
    number: Key | None = None
    """Of a frame that was read whole, wanted or not."""
    bookkeeping: Bookkeeping | None = None
    left_out: int = 0
    """Events that are not wanted."""

    @property
    def events(self) -> int:
        """How many events are to be stored."""
        return 0 if self.frame is None else events_of(self.frame)


def before_conflict(steps: list[Step]) -> list[Step]:
    """The first steps, up to where another frame has a number that came already: of a batch the store looks at the
    first frame of a number only, and the one that it knows may be the other."""
    digests: dict[Key, bytes] = {}
    for place, step in enumerate(steps):
        if step.number and step.frame and digests.setdefault(step.number, step.frame.digest) != step.frame.digest:
            return steps[:place]
    return steps


def events_of(frame: DecodedFrame) -> int:
    """How many events a frame brings; one that cannot be read at least one."""
    whole = any(one.index is None for one in frame.rejections)
    return len(frame.retry) or max(frame.events, int(whole))
