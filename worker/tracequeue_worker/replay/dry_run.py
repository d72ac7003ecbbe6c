"""What a replay would write, by the target's ledger alone: nothing is written, locked or made."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Literal, TypeAlias

import asyncpg
import orjson

from tracequeue_worker.audit.frame_numbers import FrameNumbers
from tracequeue_worker.database import acquired
from tracequeue_worker.records import DAY, DecodedFrame
from tracequeue_worker.replay.checkpoint import Figures
from tracequeue_worker.replay.models import DayComparison, ReplayReport
from tracequeue_worker.replay.selection import Selection
from tracequeue_worker.replay.source import Part
from tracequeue_worker.replay.steps import Position, Step
from tracequeue_worker.replay.target import Target
from tracequeue_worker.sinks.batch import Key, key_of
from tracequeue_worker.sinks.partitions import EPOCH
from tracequeue_worker.sql import statement

Kind: TypeAlias = Literal["spans", "starts", "ends"]
KINDS: tuple[Kind, ...] = ("starts", "spans", "ends")
Known: TypeAlias = dict[Key, tuple[bytes | None, set[int | None]]]
"""Frames in the ledger: their digests, as far as they are kept, and the lines that are dead letters."""


class DryRun:
    """Counts events as new or as known. Of a target without tables, all are new."""

    def __init__(self, target: Target, pool: asyncpg.Pool | None) -> None:
        self._target = target
        self._pool = pool
        self._started_at = datetime.now(UTC)
        self._source = self._selection = ""
        self._total = Figures()
        self._read: Counter[str] = Counter()
        """By part, how much of it."""
        self._met: Counter[str] = Counter()
        """By stream, how many frames of the ledger were read."""
        self._numbers: defaultdict[tuple[object, int], FrameNumbers] = defaultdict(FrameNumbers)
        self._days: defaultdict[tuple[int, Kind], list[int]] = defaultdict(lambda: [0, 0])
        """Rows of the source, and how many of them are known."""

    @classmethod
    @asynccontextmanager
    async def open(cls, target: Target, *, has_tables: bool = True) -> AsyncIterator["DryRun"]:
        """Raises `Unreachable` or `Fatal`."""
        if not has_tables:
            yield cls(target, None)
            return
        async with target.pool() as pool:
            yield cls(target, pool)

    async def begin(self, source: str, selection: Selection, parts: Sequence[Part]) -> None:
        self._source, self._selection = source, selection.text

    async def place(self, part: Part) -> tuple[Position, int]:
        return Position(), 0

    async def write(self, part: Part, start: Position, steps: Sequence[Step]) -> Figures:
        """Count what would be written. Raises `Transient` and `Fatal`."""
        frames = [step.frame for step in steps if step.frame is not None]
        known = await self._known({key_of(frame) for frame in frames})
        found = Figures(done=sum(step.size for step in steps), frames=len(frames))
        dead: Counter[str] = Counter()
        for step in steps:
            if step.frame is not None:
                found.events += step.events
                self._count(step, step.frame, known, found, dead)
        found.dead = dict(dead)
        self._read[part.key] += found.done
        self._add(found)
        return found

    async def without_suspects(self, frame: DecodedFrame) -> DecodedFrame:
        """Nothing is written, so nothing is suspect."""
        return frame

    async def entries_read(self, stream: str) -> int:
        """How many entries of a stream were read."""
        return self._read[stream]

    async def known_elsewhere(self, stream: str, last: str | None) -> int:
        """How many frames of a stream, of entries up to one, the target knows that were not read."""
        if self._pool is None:
            return 0
        with self._target.speaking():
            async with acquired(self._pool) as connection:
                known = int(await connection.fetchval(statement("replay_frames_elsewhere"), None, stream, last))
        return known - self._met[stream]

    async def report(
        self, shortfalls: Sequence[str], *, finished: bool, from_the_middle: bool, seconds: float, left_out: int
    ) -> ReplayReport:
        """`days` say how many rows the source has, and how many of them the ledger knows."""
        total = self._total
        return ReplayReport(
            replay_id=None, source=self._source, selection=self._selection, target=self._target.name,
            started_at=self._started_at, resumed=False, finished=finished, seconds=seconds,
            frames=total.frames, events=total.events, written=total.written, present=total.present, dead=total.dead,
            left_out=left_out, days=list(self._compared()), gaps=[], shortfalls=list(shortfalls),
        )  # fmt: skip

    async def _known(self, keys: Collection[Key]) -> Known:
        if self._pool is None or not keys:
            return {}
        with self._target.speaking():
            async with acquired(self._pool) as connection:
                rows = await connection.fetch(statement("dry_run_known"), *zip(*sorted(keys), strict=True))
        return {
            (row["emitter_id"], row["partition"], row["seq"]): (
                row["digest"], {one["index"] for one in orjson.loads(row["dead"])},
            )
            for row in rows
        }  # fmt: skip

    def _count(self, step: Step, frame: DecodedFrame, known: Known, found: Figures, dead: Counter[str]) -> None:
        digest, unstored = known.get(key_of(frame), (None, set()))
        is_known = key_of(frame) in known
        if step.number is not None and not self._is_first(step.number):
            found.present += step.events
            return
        if is_known and not frame.retry and digest not in (None, frame.digest):
            dead["seq_conflict"] += step.events
            return
        self._met[frame.entry.stream.decode("utf-8", "replace")] += is_known and step.number is not None
        for one in frame.rejections:
            dead[one.reason] += 1 if one.index is not None else step.events
        for line, day, kind in _rows(frame):
            there = is_known and None not in unstored and line not in unstored
            rows = self._days[day, kind]
            rows[0] += 1
            rows[1] += there
            found.present += there
            found.written += not there

    def _is_first(self, number: Key) -> bool:
        """Whether a frame number is read for the first time."""
        emitter_id, partition, seq = number
        numbers = self._numbers[emitter_id, partition]
        first = seq not in numbers
        numbers.add(seq)
        return first

    def _add(self, found: Figures) -> None:
        total = self._total
        total.frames += found.frames
        total.events += found.events
        total.written += found.written
        total.present += found.present
        total.dead = dict(Counter(total.dead) + Counter(found.dead))

    def _compared(self) -> Iterator[DayComparison]:
        for (day, kind), (rows, known) in sorted(
            self._days.items(), key=lambda one: (one[0][0], KINDS.index(one[0][1]))
        ):
            yield DayComparison(
                day=date.fromordinal(EPOCH.toordinal() + day), kind=kind, source_rows=rows, source_digest="",
                target_rows=known, target_digest="", different=0,
            )  # fmt: skip


def _rows(frame: DecodedFrame) -> Iterator[tuple[int, int, Kind]]:
    """Line, day since the epoch, and kind of each row."""
    for span in frame.spans:
        yield span.line, span.start_time // DAY, "spans"
    for trace in frame.traces:
        yield trace.line, trace.start_time // DAY, "starts" if trace.status is None else "ends"
