"""What a recorded span may cost, counted in what does not vary with the machine: calls, and memory that stays."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from tracequeue import TraceContext, traced_span
from tracequeue import collector as process
from tracequeue.collector import TraceCollector
from tracequeue.settings import EmitterSettings

SPANS = 400
"""More than are made ready at once: ids, a chunk."""
ENTERING_A_LOCK = 1 if sys.version_info >= (3, 14) else 0
"""CPython 3.14 calls `__enter__` as it calls any other method, so that it is counted too."""
PYTHON_CALLS, BUILT_IN_CALLS = 17, 22 + ENTERING_A_LOCK
"""Of one captured call, the wrapper itself and the function included: as many as there are in CPython 3.11, none more.
Each costs the bot some 0.06 us."""
OUTSIDE_PYTHON_CALLS, OUTSIDE_BUILT_IN_CALLS = 2, 1


class Recycling(TraceCollector):
    """The real collector, whose full chunks are given back instead of sent."""

    def _wake(self) -> None:
        for buffer in self._buffers:
            while chunk := buffer.take(partial=False):
                buffer.recycle(chunk)


@traced_span("agent:trainer", kind="agent")
async def step(user: str, text: str, tries: int) -> dict[str, Any]:
    return {"plan": text, "score": 0.5}


@pytest.fixture
def collector() -> Iterator[TraceCollector]:
    collector = Recycling(EmitterSettings())
    process.use(collector)
    yield collector
    process.use(None)


async def run_spans(number: int = SPANS) -> None:
    for _ in range(number):
        await step("alice", "what shall I do tomorrow?", 3)


def counted(inside: bool) -> Counter[str]:
    """Calls per span, of Python functions (`call`) and built-in ones (`c_call`)."""
    calls: Counter[str] = Counter()

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        calls[event] += 1

    async def measured() -> None:
        await run_spans()
        sys.setprofile(profile)
        try:
            await run_spans()
        finally:
            sys.setprofile(None)

    async def traced() -> None:
        async with TraceContext("guard"):
            await measured()

    asyncio.run(traced() if inside else measured())
    return Counter({event: round(number / SPANS) for event, number in calls.items()})


def test_a_captured_span_makes_few_calls(collector: TraceCollector) -> None:
    calls = counted(inside=True)
    assert collector.stats().emitted >= 2 * SPANS
    assert calls["call"] <= PYTHON_CALLS
    assert calls["c_call"] <= BUILT_IN_CALLS


def test_outside_a_trace_there_is_the_wrapper_and_the_function(collector: TraceCollector) -> None:
    calls = counted(inside=False)
    assert collector.stats().emitted == 0
    assert calls["call"] <= OUTSIDE_PYTHON_CALLS
    assert calls["c_call"] <= OUTSIDE_BUILT_IN_CALLS


def test_spans_leave_no_memory_behind(collector: TraceCollector) -> None:
    async def grown() -> int:
        async with TraceContext("guard"):
            await run_spans()
            before = sys.getallocatedblocks()
            await run_spans(10 * SPANS)
            return sys.getallocatedblocks() - before

    assert asyncio.run(grown()) < SPANS
