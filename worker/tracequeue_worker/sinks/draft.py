"""The frames of a batch as they are tried: without the records that turned out to be refused, and without frames that
are left out."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from tracequeue_worker.records import DecodedFrame, Rejection, Stored
from tracequeue_worker.sinks.base import LeftOut
from tracequeue_worker.sinks.batch import TRACE_KEY, Batch, Key, Refusal, key_of


class Draft:
    """Frames in their order. What is stored of them is told of the frames that were given."""

    def __init__(self, frames: Sequence[DecodedFrame]) -> None:
        self._given = list(frames)
        self._frames = list(frames)

    @property
    def batch(self) -> Batch:
        return Batch(self._frames)

    def refuse(self, refusals: Iterable[Refusal]) -> None:
        """Take rows of the batch out, and remember why."""
        rejections: defaultdict[int, list[Rejection]] = defaultdict(list)
        for row, code, error in refusals:
            number, line = row[:2]
            rejections[number].append(Rejection(line, code, error, str(row[TRACE_KEY][0])))
        for number, found in rejections.items():
            self._frames[number] = self._frames[number].without(found)

    def empty(self, keys: Collection[Key]) -> bool:
        """Take the rows of frames out that are stored already. Returns whether there were any."""
        stored = [number for number, frame in enumerate(self._frames) if self._is_stored(frame, keys)]
        for number in stored:
            self._frames[number] = replace(self._frames[number], spans=[], traces=[])
        return bool(stored)

    def leave_out(self, left_out: LeftOut) -> None:
        """Take frames out that must not be stored."""
        numbers = left_out(self._frames)
        self._given = [frame for number, frame in enumerate(self._given) if number not in numbers]
        self._frames = [frame for number, frame in enumerate(self._frames) if number not in numbers]

    @staticmethod
    def _is_stored(frame: DecodedFrame, keys: Collection[Key]) -> bool:
        return frame.rows > 0 and not frame.retry and key_of(frame) in keys

    def outcome(self, stored: Iterable[Stored]) -> list[Stored]:
        """What became of the batch, told of the frames that were given."""
        return [replace(one, frame=frame) for frame, one in zip(self._given, stored, strict=True)]
