"""read -> decode -> batch -> write -> settle. Reading and decoding go on while a batch is with the store."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from tracequeue_worker.backoff import Patience
from tracequeue_worker.batcher import Batcher
from tracequeue_worker.breaker import Breaker, Held
from tracequeue_worker.decoder import Decoder
from tracequeue_worker.drain import Drain
from tracequeue_worker.errors import Fatal, Transient
from tracequeue_worker.housekeeping import Housekeeping
from tracequeue_worker.lease import InFlight, Lease
from tracequeue_worker.losses import Losses
from tracequeue_worker.portion import Portion
from tracequeue_worker.reader import Reader
from tracequeue_worker.reclaimer import Reclaimer
from tracequeue_worker.records import DecodedFrame, Entry, Place, Stored
from tracequeue_worker.report import WorkerReport
from tracequeue_worker.settle import Chunk, Settlement, Settler
from tracequeue_worker.sinks.base import Sink
from tracequeue_worker.vitals import Vitals

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Pipeline:
    """The parts of a worker and the one loop through them. Nothing is settled before the store has committed it.

    With `drain` it ends by itself when nothing is left, and a `Fatal` ends it; without, a `Fatal` is held.
    """

    reader: Reader
    reclaimer: Reclaimer
    decoder: Decoder
    batcher: Batcher
    sink: Sink
    settler: Settler
    lease: Lease
    in_flight: InFlight
    housekeeping: Housekeeping = field(default_factory=Housekeeping)
    losses: Losses = field(default_factory=Losses)
    breaker: Breaker = field(default_factory=Breaker)
    drain: Drain | None = None
    report: WorkerReport = field(default_factory=WorkerReport)
    vitals: Vitals = field(default_factory=Vitals)
    beside: Mapping[str, Patience] = field(default_factory=dict)
    """What else this worker tries until it works."""

    def __post_init__(self) -> None:
        ends = self.drain is not None
        self._stopping = asyncio.Event()
        self._reading = Patience("reading from Redis", fatal_ends=ends, until=self._stopping)
        self._writing = Patience("writing to the store", fatal_ends=ends)
        self._settling = Patience("settling in Redis", fatal_ends=ends)
        self._portion = Portion()
        self._dead_lettering = Patience("writing dead letters", fatal_ends=ends)

    @property
    def patience(self) -> dict[str, Patience]:
        """What is tried until it works, by a short name."""
        return {
            "read": self._reading,
            "write": self._writing,
            "settle": self._settling,
            "dead_letter": self._dead_lettering,
            "lease": self.lease.patience,
            **self.housekeeping.patience,
            **self.beside,
        }

    @property
    def held(self) -> list[Held]:
        """Producers whose records the store refuses again and again."""
        return self.breaker.held()

    def in_hand(self) -> int:
        """How many frames are worked on: read, not settled, and not held by the breaker."""
        return len(self.in_flight) - self.breaker.waiting

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        """Read nothing more; `run` returns when what was read is stored and settled."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped or drained. The first error that is not waited for ends all of it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                lease = tasks.create_task(self.lease.run(), name="tracequeue lease")
                tasks.create_task(self._feed(), name="tracequeue reader")
                await self._store()
                lease.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self.report.unfinished = len(self.in_flight)
            self.report.held = sum(one.frames for one in self.breaker.held())
            self.report.vanished = self.reclaimer.vanished
            self.report.ignored_fields = self.decoder.ignored_fields
            self.report.span_conflicts = self.sink.span_conflicts

    async def _feed(self) -> None:
        try:
            while not self._stopping.is_set():
                if self.reclaimer.due:
                    await self._reading.until_done(self._take_pending)
                places = self.breaker.wanted()
                await self._bring(places)
                self.report.held = self.breaker.waiting
                entries = await self._reading.until_done(partial(self.reader.read, block=not places))
                await self._decode(entries)
                if not entries and self.drain and await self._reading.until_done(self.drain.nothing_left):
                    break
        except (Transient, Fatal):
            if not self._stopping.is_set():
                raise
        await self.batcher.close()

    async def _take_pending(self) -> None:
        async with aclosing(self.reclaimer.round()) as pages:
            async for page in pages:
                await self._decode(page)
                if self._stopping.is_set():
                    return

    async def _bring(self, places: Sequence[Place]) -> None:
        """Frames that the breaker held, or holds and wants to try."""
        if not places:
            return
        entries = await self._reading.until_done(partial(self.reclaimer.bring, places))
        self.breaker.gone(set(places).difference(entry.place for entry in entries))
        await self._decode(entries, news=False)

    async def _decode(self, entries: Sequence[Entry], *, news: bool = True) -> None:
        if entries:
            self.vitals.moved()
        if entries and news and self.drain:
            self.drain.news()
        for entry in entries:
            await self.batcher.add(self.decoder.decode(entry))
            await asyncio.sleep(0)

    async def _store(self) -> None:
        while batch := await self.batcher.take():
            while batch := self.breaker.admitted(batch):
                stored = await self._writing.until_done(partial(self._write, batch))
                for one in stored:
                    self.report.count_stored(one)
                await self._settle(stored)
                self.in_flight.release(one.frame.entry for one in stored)

    async def _write(self, batch: list[DecodedFrame]) -> list[Stored]:
        """Take the first frames from a batch: all, unless that failed again and again. What is not stored is held."""
        frames = batch[: self._portion.of(self.breaker.together(batch))]
        try:
            with self.vitals.write_seconds.time():
                stored = await self.sink.write(frames, self.breaker.left_out)
        except Transient as error:
            self._portion.failed(len(frames), may_be_a_record=error.may_be_a_record)
            if self._portion.suspicious:
                batch[0] = await self._without_suspects(batch[0])
            raise
        self.vitals.stored(stored)
        self._portion.written()
        self.breaker.learn(frames, stored)
        del batch[: len(frames)]
        return stored

    async def _without_suspects(self, frame: DecodedFrame) -> DecodedFrame:
        suspects = await self.sink.find_suspects(frame)
        for one in suspects:
            log.error("a record becomes a dead letter: line %s of entry %s: %s", one.index, frame.entry.id, one.error)
        return frame.without(suspects)

    async def _settle(self, stored: Sequence[Stored]) -> None:
        """A frame whose dead letters cannot be written stays pending: the sweep of our own brings it here again."""
        for chunk in self.settler.chunks(stored):
            settlement = await self._settling.until_done(partial(self._settle_chunk, chunk))
            for one in settlement.settled:
                self.report.count_settled(one)
            if settlement.failure is None:
                if any(one.rejections for one in settlement.settled):
                    self._dead_lettering.recovered()
                continue
            self._dead_lettering.failed(settlement.failure)
            if self.drain and isinstance(settlement.failure, Fatal):
                raise settlement.failure

    async def _settle_chunk(self, chunk: Chunk) -> Settlement:
        with self.vitals.settle_seconds.time():
            settlement = await self.settler.settle(chunk)
        if settlement.settled:
            self.vitals.moved()
        return settlement
