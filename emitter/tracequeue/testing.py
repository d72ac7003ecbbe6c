"""For users' own tests: a collector that keeps its events in memory, with a fixed clock and fixed ids.

pytest_plugins = ["tracequeue.testing"]

async def test_reply_is_traced(recorded):
    await handle("hello")
    assert [span["span_name"] for span in recorded.spans] == ["agent:trainer"]
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any
from uuid import UUID

import orjson

from tracequeue import collector as process
from tracequeue.clock import Clock
from tracequeue.collector import CollectorStats, TraceCollector
from tracequeue.frame import unpack
from tracequeue.settings import EmitterSettings

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z: the fixed wall clock. The monotonic one advances a millisecond with each reading."""
TICK_NS = 1_000_000


class MemoryCollector(TraceCollector):
    """Records like the real one, through the same encoder, redaction and frames, and sends nothing."""

    def __init__(self, **settings: Any) -> None:
        ticks = count(0, TICK_NS)
        super().__init__(EmitterSettings(**settings), Clock(lambda: START_NS, lambda: next(ticks)))
        traces, spans = count(1), count(1)
        self.new_trace_id = lambda: UUID(int=START_NS // 1_000_000 << 80 | 7 << 76 | 2 << 62 | next(traces))
        self.new_span_id = lambda: b"%016x" % next(spans)
        self._events: list[dict[str, Any]] = []

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events so far as dicts of the wire format, in the order they were handed over."""
        for lane in self._lanes:
            lane.fill(room=1_000_000, partial=True)
            for outgoing in list(lane.outbox):
                self._events += map(orjson.loads, unpack(outgoing.fields).lines)
                lane.accepted(outgoing)
        return list(self._events)

    @property
    def spans(self) -> list[dict[str, Any]]:
        """The ended spans, innermost first."""
        return [event for event in self.events if event["type"] == "span"]

    @property
    def traces(self) -> list[dict[str, Any]]:
        """The ended traces."""
        return [event for event in self.events if event["type"] == "trace.ended"]

    def start_sync(self) -> None: ...

    def flush_sync(self, timeout: float = 5.0) -> bool:
        return True

    def stop_sync(self, timeout: float = 5.0) -> CollectorStats:
        self.recording, self.stopped = False, True
        return self.stats()

    def _wake(self) -> None: ...


@contextmanager
def recording(**settings: Any) -> Iterator[MemoryCollector]:
    """Make a `MemoryCollector` the process's collector for a while. Keywords are fields of `EmitterSettings`."""
    before, memory = process.get_collector(), MemoryCollector(**settings)
    process.use(memory)
    try:
        yield memory
    finally:
        process.use(before)


with suppress(ModuleNotFoundError):
    import pytest

    @pytest.fixture(name="recorded")
    def recorded_fixture() -> Iterator[MemoryCollector]:
        """The events that the test made the code under test emit."""
        with recording() as memory:
            yield memory
