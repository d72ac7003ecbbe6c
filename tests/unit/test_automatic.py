"""AutomaticTrace: leaves nothing that nobody wants, and lets one explicit context take its place."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest

from tracequeue import TraceContext, get_current_trace_id, span
from tracequeue.automatic import AutomaticTrace
from tracequeue.context import bind
from tracequeue.held import MOST_LINES
from tracequeue.testing import MemoryCollector, recording


def types(recorded: MemoryCollector) -> list[str]:
    return [event["type"] for event in recorded.events]


async def test_without_an_explicit_one_it_is_a_trace_like_others(recorded: MemoryCollector) -> None:
    async with AutomaticTrace("update", telegram_id=42, session_id="7", metadata={"k": 1}) as trace:
        assert get_current_trace_id() == trace.trace_id
        trace.name("message")
        assert recorded.events == []
        with span("step"):
            pass
        assert types(recorded) == ["trace.started", "span"]
    assert types(recorded) == ["trace.started", "span", "trace.ended"]
    (ended,) = recorded.traces
    assert (ended["pipeline_name"], ended["telegram_id"], ended["session_id"]) == ("message", 42, "7")
    assert (ended["metadata"], ended["span_count"]) == ({"k": 1}, 1)
    assert get_current_trace_id() is None


async def test_spans_before_it_is_named_are_held_back(recorded: MemoryCollector) -> None:
    async with AutomaticTrace("update") as trace:
        with span("look-up"):
            pass
        assert recorded.events == []
        trace.name("message")
        with span("step"):
            pass
        assert types(recorded) == ["trace.started", "span", "span"]
    assert [one["span_name"] for one in recorded.spans] == ["look-up", "step"]
    assert (recorded.traces[0]["pipeline_name"], recorded.traces[0]["span_count"]) == ("message", 2)


async def test_what_nobody_wants_leaves_nothing_also_not_of_what_comes_later(recorded: MemoryCollector) -> None:
    go_on = asyncio.Event()

    async def later() -> None:
        await go_on.wait()
        with span("later"):
            pass

    async with AutomaticTrace("update"):
        task = asyncio.create_task(later())
        with span("look-up"):
            pass
    go_on.set()
    await task
    assert recorded.events == []
    assert recorded.stats().emitted == 0


async def test_so_many_spans_are_wanted(recorded: MemoryCollector) -> None:
    """They cannot be held for ever."""
    async with AutomaticTrace("update"):
        for _ in range(MOST_LINES + 1):
            with span("step"):
                pass
    assert recorded.traces[0]["span_count"] == MOST_LINES + 1


async def test_an_error_is_wanted(recorded: MemoryCollector) -> None:
    with suppress(ValueError):
        async with AutomaticTrace("update"):
            raise ValueError("no")
    async with AutomaticTrace("update") as handled:
        handled.record_error(ValueError("handled outside"))
    assert [one["error"] for one in recorded.traces] == ["ValueError: no", "ValueError: handled outside"]


@pytest.mark.parametrize("spans_before", [0, 2])
async def test_an_explicit_context_takes_its_place(recorded: MemoryCollector, spans_before: int) -> None:
    async with AutomaticTrace("message", telegram_id=42, session_id="7", metadata={"update": 1}) as automatic:
        for _ in range(spans_before):
            with span("before"):
                pass
        async with TraceContext("support", user_id=0, metadata={"mine": 2}, tags=["x"]) as explicit:
            assert explicit.trace_id == automatic.trace_id == get_current_trace_id()
            explicit.metadata["later"] = 3
            with span("inside"):
                pass
        assert explicit.status == "ok"
        with span("after"):
            pass
    (ended,) = recorded.traces
    assert ended["pipeline_name"] == "support"
    assert (ended["telegram_id"], ended["user_id"], ended["session_id"], ended["tags"]) == (42, 0, "7", ["x"])
    assert ended["metadata"] == {"update": 1, "mine": 2, "later": 3}
    assert ended["span_count"] == len(recorded.spans) == spans_before + 2
    assert types(recorded).count("trace.started") == 1
    assert all("parent_span_id" not in one for one in recorded.spans)


async def test_its_start_is_told_under_the_explicit_name(recorded: MemoryCollector) -> None:
    async with AutomaticTrace("message"), TraceContext("support"):
        (started,) = recorded.events
    assert (started["type"], started["pipeline_name"]) == ("trace.started", "support")


async def test_an_explicit_context_inside_a_span_stays_below_it(recorded: MemoryCollector) -> None:
    async with AutomaticTrace("message"):
        with span("outer"):
            async with TraceContext("support"):
                with span("inner"):
                    pass
    inner, outer = recorded.spans
    assert inner["parent_span_id"] == outer["span_id"]
    assert len(recorded.traces) == 1


async def test_a_second_explicit_context_is_a_trace_of_its_own(recorded: MemoryCollector) -> None:
    async with AutomaticTrace("message") as automatic:
        async with TraceContext("first"), TraceContext("nested") as nested:
            pass
        async with TraceContext("second") as second:
            pass
    names = {one["trace_id"]: one["pipeline_name"] for one in recorded.traces}
    assert names == {
        str(automatic.trace_id): "first", str(nested.trace_id): "nested", str(second.trace_id): "second",
    }  # fmt: skip
    assert all(automatic.trace_id.hex in one["parent"] for one in recorded.traces if one["pipeline_name"] != "first")


async def test_it_failed_if_the_explicit_one_did_though_the_handler_apologised(recorded: MemoryCollector) -> None:
    async with AutomaticTrace("message"):
        with suppress(ValueError):
            async with TraceContext("support") as explicit:
                raise ValueError("no")
    assert (explicit.status, explicit.error) == ("error", "ValueError: no")
    assert (recorded.traces[0]["status"], recorded.traces[0]["error"]) == ("error", "ValueError: no")


async def test_it_failed_if_what_came_after_the_explicit_one_did(recorded: MemoryCollector) -> None:
    with suppress(KeyError):
        async with AutomaticTrace("message"):
            async with TraceContext("support") as explicit:
                pass
            raise KeyError("no")
    assert explicit.status == "ok"
    assert recorded.traces[0]["status"] == "error"


async def test_it_lasts_as_long_as_an_explicit_one_in_the_background(recorded: MemoryCollector) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def pipeline() -> None:
        async with TraceContext("learn"):
            entered.set()
            await go_on.wait()
            with span("late"):
                pass

    async with AutomaticTrace("message"):
        task = asyncio.create_task(pipeline())
        await entered.wait()
    assert recorded.traces == []
    go_on.set()
    await task
    (ended,) = recorded.traces
    assert (ended["pipeline_name"], ended["span_count"]) == ("learn", 1)


async def test_an_explicit_one_that_begins_after_its_end_is_a_trace_of_its_own(recorded: MemoryCollector) -> None:
    go_on = asyncio.Event()

    async def pipeline() -> None:
        await go_on.wait()
        async with TraceContext("learn"):
            pass

    async with AutomaticTrace("update") as automatic:
        automatic.name("message")
        task = asyncio.create_task(pipeline())
    go_on.set()
    await task
    message, learn = recorded.traces
    assert (message["pipeline_name"], learn["pipeline_name"]) == ("message", "learn")
    assert automatic.trace_id.hex in learn["parent"]


async def test_forgotten_it_leaves_nothing_though_it_failed(recorded: MemoryCollector) -> None:
    with suppress(ValueError):
        async with AutomaticTrace("update") as trace:
            trace.name("message")
            trace.forget()
            trace.record_error(ValueError("no"))
            raise ValueError("no")
    assert recorded.events == []


async def test_forgotten_and_named_after_all_it_is_told(recorded: MemoryCollector) -> None:
    """The first handler is untraced and passes on; the second one is not."""
    async with AutomaticTrace("update") as trace:
        trace.forget()
        trace.name("second")
    assert [one["pipeline_name"] for one in recorded.traces] == ["second"]


async def test_what_was_told_of_already_ends_although_it_is_forgotten(recorded: MemoryCollector) -> None:
    async with AutomaticTrace("update") as trace:
        trace.name("message")
        with span("step"):
            pass
        trace.forget()
    assert types(recorded) == ["trace.started", "span", "trace.ended"]


async def test_code_that_interrupts_the_telling_may_trace_too(recorded: MemoryCollector) -> None:
    """A `__repr__`, a signal handler, a finalizer: anything of the bot's may run while the start is encoded."""

    class Tracing:
        def __repr__(self) -> str:
            with TraceContext("inner"), span("step"):
                return "traced"

    async with AutomaticTrace("update", metadata={"hostile": Tracing()}) as trace:
        trace.name("message")
        with span("step"):
            pass
    assert "step" in [one["span_name"] for one in recorded.spans]
    assert recorded.traces


async def test_first_spans_in_many_threads_tell_of_it_once(recorded: MemoryCollector) -> None:
    barrier = Barrier(8)

    def step() -> None:
        barrier.wait()
        with span("step"):
            pass

    for _ in range(50):
        async with AutomaticTrace("message") as trace:
            trace.name("message")
            with ThreadPoolExecutor(8) as pool:
                for done in [pool.submit(bind(step)) for _ in range(8)]:
                    done.result()
    assert types(recorded).count("trace.started") == 50
    assert {one["span_count"] for one in recorded.traces} == {8}


async def test_sampled_out_the_explicit_one_is_too() -> None:
    with recording(sample_rate=0) as recorded:
        async with AutomaticTrace("message") as automatic, TraceContext("support") as explicit:
            with span("step"):
                pass
        assert explicit.trace_id == automatic.trace_id
        assert recorded.events == []


async def test_without_a_collector_everything_runs() -> None:
    async with AutomaticTrace("message") as automatic, TraceContext("support") as explicit:
        assert explicit.trace_id == get_current_trace_id() == automatic.trace_id


async def test_nested_automatic_traces_are_two(recorded: MemoryCollector) -> None:
    async with AutomaticTrace("outer") as outer, AutomaticTrace("inner"), TraceContext("explicit"):
        outer.name("outer")
    assert [one["pipeline_name"] for one in recorded.traces] == ["explicit", "outer"]
