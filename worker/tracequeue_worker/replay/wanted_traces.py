"""Which traces are wanted. Spans do not say whose they are, so the source is read once before, for its traces."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from tracequeue_worker.decoder import Decoder
from tracequeue_worker.errors import WorkerError
from tracequeue_worker.records import DecodedFrame, Entry
from tracequeue_worker.replay.selection import Selection
from tracequeue_worker.replay.source import Source

MEMORY_KIB: Final = 8 * 1024
PREPARED: Final = f"""
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{MEMORY_KIB};
CREATE TABLE traces (trace_id TEXT PRIMARY KEY, wanted INTEGER) WITHOUT ROWID;
BEGIN
"""
NOTE: Final = """
INSERT INTO traces VALUES (?, ?)
ON CONFLICT DO UPDATE SET wanted = excluded.wanted WHERE wanted IS NULL OR wanted < excluded.wanted
"""
NOTE_SPAN: Final = "INSERT INTO traces VALUES (?, NULL) ON CONFLICT DO NOTHING"
UNKNOWN: Final = "SELECT count(*) FROM traces WHERE wanted IS NULL"
LOOK: Final = "SELECT wanted FROM traces WHERE trace_id = ?"


class WantedTraces:
    """First `note` every frame, then `take` the events of the traces that are wanted.

    A trace is wanted if its started or its ended event is what the selection asks for. Memory is bounded, whatever the
    number of traces: the ids lie in a temporary file of this process, which nobody else sees.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._traces = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._traces.executescript(PREPARED)

    def note(self, frame: DecodedFrame) -> None:
        """Remember whose the traces of a frame are. Raises `WorkerError` where there is no room for it."""
        with self._in_room():
            self._traces.executemany(NOTE, ((one.trace_id, self._selection.wants(one)) for one in frame.traces))

    def note_spans(self, frame: DecodedFrame) -> None:
        """Remember that of the traces of these spans it should be known whose they are. Raises as `note` does."""
        inside = {row.trace_id for row in frame.spans if self._is_inside(frame.entry.id, row.start_time)}
        with self._in_room():
            self._traces.executemany(NOTE_SPAN, ((trace_id,) for trace_id in inside))

    def take(self, frame: DecodedFrame) -> DecodedFrame | None:
        """The lines of a frame that are wanted, as a retry of them; None where none is.

        Also where all are: a retry makes no entry in the ledger and brings no account of the emitter, which could not
        close in a database that has only some of its traces.
        """
        lines = frame.retry or frozenset(range(frame.events))
        wanted = self._wanted_lines(frame) & lines
        if not wanted:
            return None
        return _only(frame, wanted)

    @property
    def unknown(self) -> int:
        """Of how many traces nothing says whose they are."""
        return int(self._traces.execute(UNKNOWN).fetchone()[0])

    def shortfalls(self) -> list[str]:
        """Traces that were left out although they may be wanted, in a sentence."""
        if not (unknown := self.unknown):
            return []
        traces = "1 trace has" if unknown == 1 else f"{unknown} traces have"
        return [
            f"{traces} neither a start nor an end in the source: nobody can say whose spans these are, so they stay"
        ]

    def close(self) -> None:
        """Remove the file."""
        self._traces.close()

    def _is_inside(self, entry_id: bytes, start_time: int) -> bool:
        """Rows of a database came by no entry; they are chosen by their times."""
        bounds = self._selection.bounds
        return bounds.holds(entry_id) if entry_id else bounds.holds_time(start_time)

    def _wanted_lines(self, frame: DecodedFrame) -> frozenset[int]:
        traces = {row.line: row.trace_id for rows in (frame.spans, frame.traces) for row in rows}
        traces |= {one.index: one.trace_id for one in frame.rejections if one.index is not None and one.trace_id}
        wanted = {trace_id: self._is_wanted(trace_id) for trace_id in set(traces.values())}
        return frozenset(line for line, trace_id in traces.items() if wanted[trace_id])

    def _is_wanted(self, trace_id: str) -> bool:
        found = self._traces.execute(LOOK, (trace_id,)).fetchone()
        return bool(found and found[0])

    @contextmanager
    def _in_room(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            cure = "give the temporary folder more room, or name another one in TMPDIR"
            raise WorkerError(f"the traces that are wanted cannot be written down: {error}: {cure}") from None


async def traces_in(selection: Selection, decoder: Decoder, source: Source, *others: Source) -> WantedTraces:
    """Read a source once for the traces that a selection wants, and others that may hold their starts and ends.

    Give them without bounds: the spans inside are wanted of traces that began before or ended after. Ask the source of
    the replay for its parts before, so that this reading ends behind it. Raises as the sources do.
    """
    wanted = WantedTraces(selection)
    try:
        async for frame in _frames(decoder, source):
            wanted.note(frame)
            wanted.note_spans(frame)
        for other in others:
            async for frame in _frames(decoder, other):
                wanted.note(frame)
    except BaseException:
        wanted.close()
        raise
    return wanted


async def _frames(decoder: Decoder, source: Source) -> AsyncIterator[DecodedFrame]:
    for part in await source.parts():
        async for taken in source.read(part, None):
            content = taken.content
            frame = decoder.decode(content) if isinstance(content, Entry) else content
            if isinstance(frame, DecodedFrame):
                yield frame


def _only(frame: DecodedFrame, lines: frozenset[int]) -> DecodedFrame:
    return replace(
        frame,
        spans=[row for row in frame.spans if row.line in lines],
        traces=[row for row in frame.traces if row.line in lines],
        rejections=[one for one in frame.rejections if one.index in lines],
        retry=lines,
    )
