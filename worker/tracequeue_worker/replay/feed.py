"""A part of a source, decoded and filled into batches while others are written."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Final, TypeAlias
from uuid import UUID

from tracequeue_worker.backoff import Patience
from tracequeue_worker.batcher import Batcher
from tracequeue_worker.decoder import Decoder
from tracequeue_worker.records import DecodedFrame, Entry
from tracequeue_worker.replay.bookkeeping import Bookkeeping
from tracequeue_worker.replay.pace import Pace
from tracequeue_worker.replay.source import Part, Source, Taken
from tracequeue_worker.replay.steps import Position, Step, events_of
from tracequeue_worker.sinks.batch import key_of

Take: TypeAlias = Callable[[DecodedFrame], DecodedFrame | None]
"""What of a frame is wanted."""

ROW_BYTES: Final = 200
"""About what a row of bookkeeping takes."""
NOWHERE: Final = Entry(b"", 0, b"", {})


class Feed:
    """Reads a part from a position on. `take` gives the next batch of steps, none at the end.

    Whatever ends the reading, `run` raises it, and what was read before can still be taken.
    """

    def __init__(
        self, source: Source, part: Part, start: Position, batcher: Batcher, *,
        decoder: Decoder, wanted: Take | None, pace: Pace, patience: Patience, stopping: asyncio.Event,
    ) -> None:  # fmt: skip
        self._source = source
        self._part = part
        self._position = start
        self._batcher = batcher
        self._decoder = decoder
        self._wanted = wanted
        self._pace = pace
        self._patience = patience
        self._stopping = stopping
        self._steps: deque[Step] = deque()
        """As many as there are frames in the batcher, and what it has no room for."""

    async def run(self) -> None:
        try:
            await self._patience.until_done(self._read_on)
        finally:
            await self._batcher.close()

    async def take(self) -> list[Step]:
        """A batch."""
        return [self._steps.popleft() for _ in await self._batcher.take()]

    async def _read_on(self) -> None:
        """From where it was when the source failed."""
        reading = self._source.read(self._part, self._position.after)
        known = self._position.beyond
        try:
            async for taken in reading:
                if known:
                    known -= 1
                    continue
                if self._patience.trouble is not None:
                    self._patience.recovered()
                await self._pass_on(taken)
                if self._stopping.is_set():
                    return
                await asyncio.sleep(0)
        finally:
            if isinstance(reading, AsyncGenerator):
                await reading.aclose()

    async def _pass_on(self, taken: Taken) -> None:
        step = self._step(taken)
        await self._pace.wait(step.events, self._stopping)
        self._steps.append(step)
        await self._batcher.add(step.frame or _stand_in(step))
        self._position = step.position

    def _step(self, taken: Taken) -> Step:
        step = Step(self._position.behind(taken), taken.size)
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


def _stand_in(step: Step) -> DecodedFrame:
    """Takes the place of a step without a frame in a batch, so that it counts there."""
    kept = step.bookkeeping
    rows = sum(map(len, (kept.frames, kept.settled, kept.emitters, kept.conflicts))) if kept else 0
    return DecodedFrame(NOWHERE, UUID(int=0), 0, b"", 0, size=rows * ROW_BYTES)
