"""Where a replay goes: the tables of the target, with its checkpoint."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from tracequeue_worker.database import acquired
from tracequeue_worker.records import DecodedFrame
from tracequeue_worker.replay.checkpoint import Checkpoint, Figures
from tracequeue_worker.replay.companion import ReplayCompanion
from tracequeue_worker.replay.gaps import find_gaps
from tracequeue_worker.replay.models import ReplayReport
from tracequeue_worker.replay.report import read_report
from tracequeue_worker.replay.selection import Selection
from tracequeue_worker.replay.source import Part
from tracequeue_worker.replay.steps import Position, Step
from tracequeue_worker.replay.target import Target
from tracequeue_worker.sinks.postgres import PostgresSink
from tracequeue_worker.sql import statement


class DatabaseStore:
    """Stores the steps of a replay, each batch in one transaction with its checkpoint."""

    def __init__(self, target: Target, sink: PostgresSink, pool: asyncpg.Pool) -> None:
        self._target = target
        self._sink = sink
        self._pool = pool
        self._checkpoint: Checkpoint | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, target: Target) -> AsyncIterator["DatabaseStore"]:
        """Raises `Unreachable` or `Fatal`."""
        sink = PostgresSink(target.settings, repairing=True)
        async with target.pool() as pool:
            with target.speaking():
                await sink.open()
            try:
                yield cls(target, sink, pool)
            finally:
                await sink.close()

    async def begin(self, source: str, selection: Selection, parts: Sequence[Part]) -> None:
        with self._target.speaking():
            async with acquired(self._pool) as connection:
                self._checkpoint = await Checkpoint.begin(connection, source, selection, [part.key for part in parts])

    async def place(self, part: Part) -> tuple[Position, int] | None:
        with self._target.speaking():
            async with acquired(self._pool) as connection:
                return await self._replay.place(connection, part.key)

    async def write(self, part: Part, start: Position, steps: Sequence[Step]) -> Figures:
        """Store steps and move the part on from `start`. Raises `Transient`, `Fatal`, `Overtaken`."""
        companion = ReplayCompanion(self._replay, part.key, start, steps)
        with self._target.speaking():
            await self._sink.write([step.frame for step in steps if step.frame is not None], companion=companion)
        return companion.found

    async def without_suspects(self, frame: DecodedFrame) -> DecodedFrame:
        """The frame without records that cannot be written though others can. Raises as `write` does."""
        with self._target.speaking():
            return frame.without(await self._sink.find_suspects(frame))

    async def entries_read(self, stream: str) -> int | None:
        """How many entries of a stream this replay read; None where another process finished it."""
        with self._target.speaking():
            async with acquired(self._pool) as connection:
                done: int | None = await connection.fetchval(statement("replay_done"), self._replay.replay_id, stream)
                return done

    async def known_elsewhere(self, stream: str, last: str | None) -> int:
        """How many frames of a stream, of entries up to one, the target knows that this replay did not read."""
        with self._target.speaking():
            async with acquired(self._pool) as connection:
                query = statement("replay_frames_elsewhere")
                return int(await connection.fetchval(query, self._replay.replay_id, stream, last))

    async def report(
        self, shortfalls: Sequence[str], *, finished: bool, from_the_middle: bool, seconds: float, left_out: int
    ) -> ReplayReport:
        """Finish the replay, unless it was interrupted, and say what it found."""
        with self._target.speaking():
            async with acquired(self._pool) as connection:
                found = self._replay
                gaps = []
                if finished:
                    gaps = await find_gaps(connection, found.replay_id, from_the_middle=from_the_middle)
                    await found.finish(connection)
                return await read_report(
                    connection, found.replay_id, target=self._target.name, resumed=found.resumed, seconds=seconds,
                    left_out=left_out, gaps=gaps, shortfalls=shortfalls,
                )  # fmt: skip

    @property
    def _replay(self) -> Checkpoint:
        if self._checkpoint is None:
            raise RuntimeError("the replay has not begun")
        return self._checkpoint
