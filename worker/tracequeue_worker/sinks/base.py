"""What the pipeline asks of a store."""

from collections.abc import Sequence
from typing import Protocol

from tracequeue_worker.losses import Loss
from tracequeue_worker.records import DecodedFrame, Stored


class Sink(Protocol):
    """A store that takes batches of frames. `write` is atomic per call and may be repeated with the same frames.

    `write` returns one `Stored` per frame, in order, once everything is committed. Records that the store
    refuses come back as rejections beside those that the decoder made. It raises `Transient` or `Fatal`
    (never `Poison`); then nothing of the batch may be acknowledged.
    """

    span_conflicts: int
    """Spans that came again under the same key with other content; the first stored stays."""

    async def open(self) -> None: ...

    async def write(self, frames: Sequence[DecodedFrame]) -> list[Stored]: ...

    async def record_losses(self, losses: Sequence[Loss]) -> None:
        """Write down what others took out of the streams. Raises `Transient` or `Fatal`."""

    async def close(self) -> None: ...
