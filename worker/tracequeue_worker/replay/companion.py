"""One batch of a replay in its transaction: the rows, how they compare, and how far the replay is with them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tracequeue_worker.database import Connection
from tracequeue_worker.records import Stored
from tracequeue_worker.replay.checkpoint import Checkpoint, Figures
from tracequeue_worker.replay.comparison import Running, compare, running_traces
from tracequeue_worker.replay.ledger_copy import copy_ledger
from tracequeue_worker.replay.steps import Position, Step
from tracequeue_worker.sinks.batch import Key


class ReplayCompanion:
    """Takes a part from a position over some steps. `found` is what became of them."""

    def __init__(self, checkpoint: Checkpoint, part: str, start: Position, steps: Sequence[Step]) -> None:
        self.found = Figures()
        self._checkpoint = checkpoint
        self._part = part
        self._start = start
        self._steps = steps
        self._refused: Mapping[str, int] = {}
        self._running: Running = ()

    async def begin(self, connection: Connection) -> None:
        self._refused = await self._checkpoint.lock(connection, self._part, self._start)
        self._running = await running_traces(connection)

    async def finish(self, connection: Connection, stored: Sequence[Stored]) -> None:
        """`stored` are the frames of the steps that have one, in their order."""
        taken = [step for step in self._steps if step.frame is not None]
        numbers = [None if _conflicts(one) else step.number for step, one in zip(taken, stored, strict=True)]
        unwanted = [step.number for step in self._steps if step.frame is None]
        known = await self._checkpoint.add_numbers(connection, filter(None, (*numbers, *unwanted)))
        written = await compare(connection, self._checkpoint.replay_id, _fresh(numbers, known), self._running)
        for step in self._steps:
            if step.bookkeeping is not None:
                await copy_ledger(connection, step.bookkeeping)
        self.found = _figures(self._steps, taken, stored, written)
        await self._checkpoint.advance(connection, self._part, self._steps[-1].position, self.found, self._refused)


def _conflicts(stored: Stored) -> bool:
    """Whether another frame has its number: then this one was not read under it."""
    return any(why.reason == "seq_conflict" for why in stored.rejections)


def _fresh(numbers: Sequence[Key | None], known: set[Key]) -> list[int]:
    """The places of frames that were not read before. Those that do not come whole have no number, and always count."""
    seen = set(known)
    fresh = []
    for place, number in enumerate(numbers):
        if number is None or number not in seen:
            fresh.append(place)
        if number is not None:
            seen.add(number)
    return fresh


def _figures(steps: Sequence[Step], taken: Sequence[Step], stored: Sequence[Stored], written: int) -> Figures:
    """Whatever is neither refused nor written now was there already."""
    dead: Counter[str] = Counter()
    for step, one in zip(taken, stored, strict=True):
        for why in one.rejections:
            dead[why.reason] += step.events if why.index is None else 1
    events = sum(step.events for step in steps)
    return Figures(
        done=sum(step.size for step in steps),
        frames=sum(step.number is not None or step.frame is not None for step in steps),
        events=events,
        written=written,
        present=max(0, events - written - dead.total()),
        dead=dict(dead),
    )
