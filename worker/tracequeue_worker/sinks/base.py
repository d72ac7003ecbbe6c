"""What the pipeline asks of a store."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeAlias

from tracequeue_worker.losses import Loss
from tracequeue_worker.records import DecodedFrame, Rejection, Stored

LeftOut: TypeAlias = Callable[[Sequence[DecodedFrame]], Collection[int]]
"""Asked before the commit, with the frames of a batch and what the store refused of them so far as their rejections:
the numbers of the frames that must not be stored now."""


def none_left_out(frames: Sequence[DecodedFrame]) -> Collection[int]:
    """All may be stored."""
    return ()


class Sink(Protocol):
    """A store that takes batches of frames. `write` is atomic per call and may be repeated with the same frames.

    `write` returns one `Stored` per frame, in order, once everything is committed, but none for a frame that was left
    out. Records that the store refuses come back as rejections beside those that the decoder made. It raises
    `Transient` or `Fatal` (never `Poison`); then nothing of the batch may be acknowledged.

    `find_suspects` is for a frame that alone fails again and again: the records that cannot be written though others
    can at the same time. None where the records are not to blame. It raises as `write` does.
    """

    span_conflicts: int
    """Spans that came again under the same key with other content; the first stored stays."""

    async def open(self) -> None: ...

    async def write(self, frames: Sequence[DecodedFrame], left_out: LeftOut = none_left_out) -> list[Stored]: ...

    async def find_suspects(self, frame: DecodedFrame) -> list[Rejection]: ...

    async def record_losses(self, losses: Sequence[Loss]) -> None:
        """Write down what others took out of the streams. Raises `Transient` or `Fatal`."""

    async def close(self) -> None: ...
