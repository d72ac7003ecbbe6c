"""One batch on its way into the store: which rows are staged, and what is refused of its frames."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, TypeAlias
from uuid import UUID

from tracequeue.encoding.text import cleaned
from tracequeue.events import NAME_LENGTH
from tracequeue_worker.records import DecodedFrame, Rejection, SpanRow, TraceRow

Key: TypeAlias = tuple[UUID, int, int]
"""A frame in the ledger: emitter, partition, number."""
StagedRow: TypeAlias = tuple[Any, ...]
"""The number of the frame in the batch, the line in the frame, then the columns of the staging table."""
Refusal: TypeAlias = tuple[StagedRow, str, str]
"""A staged row, the code of the reason, and the error."""

TRACE_KEY = slice(2, 4)
"""Trace id and start of a staged row of a trace."""


def key_of(frame: DecodedFrame) -> Key:
    return frame.emitter_id, frame.entry.partition, frame.seq


class Batch:
    """Frames with their rows numbered for staging. Of frames with the same key the first one counts."""

    def __init__(self, frames: Sequence[DecodedFrame]) -> None:
        self.frames = frames
        self.firsts: dict[Key, int] = {}
        """The frame that stands for each key. Retried frames have none: their key belongs to the first delivery."""
        self.retried: list[int] = []
        self.spans: list[StagedRow] = []
        self.traces: list[StagedRow] = []
        self.rejections: defaultdict[int, list[Rejection]] = defaultdict(list)
        for number, frame in enumerate(frames):
            self._add(number, frame)

    def _add(self, number: int, frame: DecodedFrame) -> None:
        if frame.retry:
            self.retried.append(number)
        elif self.firsts.setdefault(key_of(frame), number) != number:
            return
        spans, traces, rejections = _wanted(frame)
        place = (number,)
        self.spans += [place + row for row in spans]
        if traces:
            source = _source(frame)
            self.traces += [place + row + source for row in traces]
        self.rejections[number] = rejections

    def withdraw(self, frames: Collection[int]) -> None:
        """Take the rows of some frames out: they are stored."""
        self.spans = [row for row in self.spans if row[0] not in frames]
        self.traces = [row for row in self.traces if row[0] not in frames]

    @property
    def different_traces(self) -> int:
        return len({row[TRACE_KEY] for row in self.traces})

    def days(self) -> set[int]:
        """The days since the epoch on which something of this batch starts."""
        return {day for number in (*self.firsts.values(), *self.retried) for day in self.frames[number].days}


def _wanted(frame: DecodedFrame) -> tuple[list[SpanRow], list[TraceRow], list[Rejection]]:
    """Rows and rejections; of a retried frame only those of the lines that are retried, and of the frame as a whole."""
    if not frame.retry:
        return frame.spans, frame.traces, list(frame.rejections)
    return (
        [row for row in frame.spans if row.line in frame.retry],
        [row for row in frame.traces if row.line in frame.retry],
        [one for one in frame.rejections if one.index is None or one.index in frame.retry],
    )


def _source(frame: DecodedFrame) -> tuple[Any, ...]:
    """What the rows of its traces say of the emitter."""
    names = description(frame, "service", "environment", "release")
    return (*names, None if frame.anonymous else frame.emitter_id)


def description(frame: DecodedFrame, *names: str) -> list[str | None]:
    """Texts of what an emitter says of itself; foreign data, so bounded and without what Postgres refuses."""
    return [text(frame.meta.get(name)) for name in names]


def text(value: object) -> str | None:
    return storable(value[:NAME_LENGTH]) if isinstance(value, str) and value else None


def storable(value: str) -> str:
    """Without NUL and lone surrogates, which Postgres refuses."""
    return cleaned(value)[0]
