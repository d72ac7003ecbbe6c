"""What is taken from a source, decoded, and of it what is wanted."""

from collections.abc import Callable
from typing import TypeAlias

from tracequeue_worker.decoder import Decoder
from tracequeue_worker.records import DecodedFrame
from tracequeue_worker.replay.bookkeeping import Bookkeeping
from tracequeue_worker.replay.source import Taken
from tracequeue_worker.replay.steps import Position, Step, events_of
from tracequeue_worker.sinks.batch import key_of

Take: TypeAlias = Callable[[DecodedFrame], DecodedFrame | None]
"""What of a frame is wanted."""


class Intake:
    """Everything is wanted where `wanted` does not say otherwise."""

    def __init__(self, decoder: Decoder, wanted: Take | None) -> None:
        self._decoder = decoder
        self._wanted = wanted

    def step(self, position: Position, taken: Taken) -> Step:
        """What comes behind a position."""
        step = Step(position.behind(taken), taken.size)
        content = taken.content
        if isinstance(content, Bookkeeping):
            # A ledger speaks of whole frames: where only some events are wanted, it would say too much.
            step.bookkeeping = None if self._wanted else content
            return step
        if isinstance(content, DecodedFrame):
            frame = content
        else:
            frame = self._decoder.decode(content)
            step.number = None if frame.retry else key_of(frame)
        step.frame = self._wanted(frame) if self._wanted else frame
        step.left_out = events_of(frame) - step.events
        return step
