"""Which traces are wanted. Spans do not say whose they are, so the source is read once before, for its traces."""

import sqlite3
from collections.abc import Iterator
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
CREATE TABLE traces (trace_id TEXT PRIMARY KEY, wanted INTEGER NOT NULL) WITHOUT ROWID;
BEGIN
"""
NOTE: Final = """
INSERT INTO traces VALUES (?, ?) ON CONFLICT DO UPDATE SET wanted = 1 WHERE excluded.wanted AND NOT wanted
"""
LOOK: Final = "SELECT wanted FROM traces WHERE trace_id = ?"


class WantedTraces:
    """First `note` every frame, then `take` the events of the traces that are wanted.

    A trace is wanted if its started or its ended event is what the selection asks for. Memory is bounded, whatever the
    number of traces: the ids lie in a temporary file of this process, which nobody else sees. `left_out` counts events
    that were not taken, `unknown` those of them that may be wanted: nothing says whose they are.
    """

    def __init__(self, selection: Selection) -> None:
        self.left_out = 0
        self.unknown = 0
        self._selection = selection
        self._traces = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._traces.executescript(PREPARED)

    def note(self, frame: DecodedFrame) -> None:
        """Remember whose the traces of a frame are. Raises `WorkerError` where there is no room for it."""
        with self._in_room():
            self._traces.executemany(NOTE, ((one.trace_id, self._selection.wants(one)) for one in frame.traces))

    def take(self, frame: DecodedFrame) -> DecodedFrame | None:
        """The frame, where all of it is wanted; else a retry of the lines that are; None where none is.

        A retry makes no entry in the ledger, which would say that all of the frame is stored.
        """
        lines = frame.retry or frozenset(range(frame.events))
        verdicts = self._verdicts(frame)
        wanted = frozenset(line for line, verdict in verdicts.items() if verdict and line in lines)
        self.left_out += len(lines) - len(wanted)
        self.unknown += sum(verdicts.get(line) is None for line in lines)
        if not wanted:
            return None
        return frame if wanted == lines else _only(frame, wanted)

    def close(self) -> None:
        """Remove the file."""
        self._traces.close()

    def _verdicts(self, frame: DecodedFrame) -> dict[int, bool | None]:
        """Of each line whether its trace is wanted; None where the trace is not known."""
        traces = {row.line: row.trace_id for rows in (frame.spans, frame.traces) for row in rows}
        traces |= {one.index: one.trace_id for one in frame.rejections if one.index is not None and one.trace_id}
        wanted = {trace_id: self._is_wanted(trace_id) for trace_id in set(traces.values())}
        return {line: wanted[trace_id] for line, trace_id in traces.items()}

    def _is_wanted(self, trace_id: str) -> bool | None:
        found = self._traces.execute(LOOK, (trace_id,)).fetchone()
        return bool(found[0]) if found else None

    @contextmanager
    def _in_room(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            cure = "give the temporary folder more room, or name another one in TMPDIR"
            raise WorkerError(f"the traces that are wanted cannot be written down: {error}: {cure}") from None


async def traces_in(selection: Selection, decoder: Decoder, *sources: Source) -> WantedTraces:
    """Read sources once, without bounds, for the traces that a selection wants.

    Without bounds, so that the spans inside of them are known whose traces began before or ended after. Ask the source
    of the replay for its parts before: then no trace begins behind the end of this reading that it holds. Raises as
    the sources do.
    """
    wanted = WantedTraces(selection)
    for source in sources:
        for part in await source.parts():
            async for taken in source.read(part, None):
                content = taken.content
                frame = decoder.decode(content) if isinstance(content, Entry) else content
                if isinstance(frame, DecodedFrame):
                    wanted.note(frame)
    return wanted


def _only(frame: DecodedFrame, lines: frozenset[int]) -> DecodedFrame:
    return replace(
        frame,
        spans=[row for row in frame.spans if row.line in lines],
        traces=[row for row in frame.traces if row.line in lines],
        rejections=[one for one in frame.rejections if one.index in lines],
        retry=lines,
    )
