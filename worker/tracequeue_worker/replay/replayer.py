"""source -> selection -> decoder -> batcher -> store. Reading and decoding go on while a batch is with the store."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from tracequeue_worker.backoff import Patience
from tracequeue_worker.batcher import Batcher
from tracequeue_worker.decoder import Decoder, TimeWindow
from tracequeue_worker.errors import Transient
from tracequeue_worker.portion import Portion
from tracequeue_worker.records import DecodedFrame
from tracequeue_worker.replay.checkpoint import Figures, Overtaken
from tracequeue_worker.replay.feed import Feed
from tracequeue_worker.replay.intake import Intake, Take
from tracequeue_worker.replay.models import ReplayReport
from tracequeue_worker.replay.pace import Pace
from tracequeue_worker.replay.progress import Progress
from tracequeue_worker.replay.selection import Selection
from tracequeue_worker.replay.source import Part, Source
from tracequeue_worker.replay.steps import Position, Step, before_conflict
from tracequeue_worker.settings import WorkerSettings

PATIENCE_SECONDS: Final = 60.0
LINGER_MS: Final = 1_000
"""Batches are full unless the source is slow: then so often is written down how far it is."""
GO_ON: Final = "run the same command again: it goes on where it is"


class Store(Protocol):
    """Where it goes. All raise `Transient` and `Fatal`."""

    async def begin(self, source: str, selection: Selection, parts: Sequence[Part]) -> None: ...

    async def place(self, part: Part) -> tuple[Position, int] | None:
        """Up to where a part is stored, and how much of it that is; None where another process finished the replay."""

    async def write(self, part: Part, start: Position, steps: Sequence[Step]) -> Figures:
        """Raises `Overtaken` where the part is not at `start`."""

    async def without_suspects(self, frame: DecodedFrame) -> DecodedFrame: ...

    async def report(
        self, shortfalls: Sequence[str], *, finished: bool, from_the_middle: bool, seconds: float, left_out: int
    ) -> ReplayReport: ...


class Replayer:
    """Reads a source part after part. `wanted` says what of a frame is wanted.

    What passes is waited for, a minute at most; then, as with everything that needs a person, `run` raises, and what
    was stored so far stays, with its checkpoint.
    """

    def __init__(
        self,
        source: Source,
        store: Store,
        settings: WorkerSettings,
        *,
        selection: Selection | None = None,
        wanted: Take | None = None,
        rate: float | None = None,
        progress: Progress | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.progress = progress or Progress()
        self._source = source
        self._store = store
        self._settings = settings
        self._selection = selection or Selection()
        self._pace = Pace(rate)
        self._intake = Intake(Decoder(TimeWindow.of(settings)), wanted)
        self._portion = Portion()
        self._stopping = asyncio.Event()
        self._reading = self._patience("reading the source", patience_seconds)
        self._writing = self._patience("writing to the target", patience_seconds)

    def stop(self) -> None:
        """Finish the batch in hand, and leave. The same replay goes on from there."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def trouble(self) -> str | None:
        """What is waited for now."""
        troubles = [str(one.trouble) for one in (self._reading, self._writing) if one.trouble]
        return troubles[0] if troubles else None

    async def run(self) -> ReplayReport:
        """Replay all there is, or until stopped. Raises `Transient`, `Fatal`, `Damaged` and other `WorkerError`s."""
        started = time.monotonic()
        try:
            parts = await self._reading.until_done(self._source.parts)
            await self._writing.until_done(partial(self._store.begin, self._source.name, self._selection, parts))
            self.progress.begin(parts)
            for part in parts:
                await self._replay(part)
            finished = not self.stopping
            shortfalls = await self._reading.until_done(self._source.shortfalls) if finished else []
            return await self._writing.until_done(partial(
                self._store.report, shortfalls, finished=finished, seconds=time.monotonic() - started,
                from_the_middle=self._selection.bounds.since is not None, left_out=self.progress.left_out,
            ))  # fmt: skip
        except Transient as error:
            raise Transient(f"{error}; {GO_ON}") from error

    async def _replay(self, part: Part) -> None:
        """From where the part is to its end; anew from there whenever somebody else has brought it further."""
        through = False
        while not (through or self.stopping):
            place = await self._writing.until_done(partial(self._store.place, part))
            if place is None:
                return
            position, done = place
            self.progress.place(part.key, done)
            with suppress(Overtaken):
                await self._pass_on(part, position)
                through = True

    async def _pass_on(self, part: Part, start: Position) -> None:
        batcher = Batcher(rows=self._settings.batch_rows, size=self._settings.batch_bytes, linger_ms=LINGER_MS)
        feed = Feed(
            source=self._source, part=part, position=start, intake=self._intake, batcher=batcher, pace=self._pace,
            patience=self._reading, stopping=self._stopping,
        )  # fmt: skip
        feeding = asyncio.create_task(feed.run(), name="tracequeue replay source")
        try:
            await self._write_all(part, start, feed)
            if not self.stopping:
                await feeding
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _write_all(self, part: Part, position: Position, feed: Feed) -> None:
        while steps := await feed.take():
            while steps:
                portion = await self._writing.until_done(partial(self._write, part, position, steps))
                position = portion[-1].position
                if self.stopping:
                    return

    async def _write(self, part: Part, position: Position, steps: list[Step]) -> list[Step]:
        """Write the first steps of a batch: all, unless that failed again and again."""
        portion = before_conflict(steps[: self._portion.of(len(steps))])
        try:
            found = await self._store.write(part, position, portion)
        except Transient as error:
            self._portion.failed(len(portion), may_be_a_record=error.may_be_a_record)
            if self._portion.suspicious and (frame := steps[0].frame):
                steps[0].frame = await self._store.without_suspects(frame)
            raise
        self._portion.written()
        self.progress.add(found)
        self.progress.left_out += sum(step.left_out for step in portion)
        del steps[: len(portion)]
        return portion

    def _patience(self, what: str, seconds: float) -> Patience:
        return Patience(what, fatal_ends=True, until=self._stopping, longest=seconds)
