"""A part of a source, filled into batches while others are written."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from tracequeue_worker.backoff import Patience
from tracequeue_worker.batcher import Batcher
from tracequeue_worker.records import DecodedFrame
from tracequeue_worker.replay.intake import Intake
from tracequeue_worker.replay.pace import Pace
from tracequeue_worker.replay.source import NOWHERE, Part, Source, Taken
from tracequeue_worker.replay.steps import Position, Step

ROW_BYTES: Final = 200
"""About what a row of bookkeeping takes."""


@dataclass(kw_only=True)
class Feed:
    """Reads a part from a position on. `take` gives the next batch of steps, none at the end.

    Whatever ends the reading, `run` raises it, and what was read before can still be taken.
    """

    source: Source
    part: Part
    position: Position
    """Behind what was read so far."""
    intake: Intake
    batcher: Batcher
    pace: Pace
    patience: Patience
    stopping: asyncio.Event
    _steps: deque[Step] = field(default_factory=deque)
    """As many as there are frames in the batcher, and what it has no room for."""

    async def run(self) -> None:
        try:
            await self.patience.until_done(self._read_on)
        finally:
            await self.batcher.close()

    async def take(self) -> list[Step]:
        """A batch."""
        return [self._steps.popleft() for _ in await self.batcher.take()]

    async def _read_on(self) -> None:
        """From where it was when the source failed."""
        reading = self.source.read(self.part, self.position.after)
        known = self.position.beyond
        try:
            async for taken in reading:
                if known:
                    known -= 1
                    continue
                if self.patience.trouble is not None:
                    self.patience.recovered()
                await self._pass_on(taken)
                if self.stopping.is_set():
                    return
                await asyncio.sleep(0)
        finally:
            if isinstance(reading, AsyncGenerator):
                await reading.aclose()

    async def _pass_on(self, taken: Taken) -> None:
        step = self.intake.step(self.position, taken)
        await self.pace.wait(step.events, self.stopping)
        self._steps.append(step)
        await self.batcher.add(step.frame or _stand_in(step))
        self.position = step.position


def _stand_in(step: Step) -> DecodedFrame:
    """Takes the place of a step without a frame in a batch, so that it counts there."""
    kept = step.bookkeeping
    rows = sum(map(len, (kept.frames, kept.settled, kept.emitters, kept.conflicts))) if kept else 0
    return DecodedFrame(NOWHERE, UUID(int=0), 0, b"", 0, size=rows * ROW_BYTES)
