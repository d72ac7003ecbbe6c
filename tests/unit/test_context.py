"""TraceContext: what a trace says of itself, how it ends, and how it links to others."""

import asyncio
import re
from contextlib import suppress

import pytest

from tracequeue import TraceContext, current_span, get_current_trace_id, inject, span
from tracequeue.encoding.notes import MAX_NOTES
from tracequeue.events import ANY_EVENT
from tracequeue.site import site_of_block
from tracequeue.testing import MemoryCollector, recording


async def test_a_trace_is_told_twice_and_either_event_makes_a_row(recorded: MemoryCollector) -> None:
    async with TraceContext("support", telegram_id=42, user_id=7, session_id="chat", tags=["a"], metadata={"k": 1}):
        pass
    started, ended = recorded.events
    common = ("trace_id", "pipeline_name", "start_time", "telegram_id", "user_id", "session_id", "tags", "metadata")
    assert started["type"] == "trace.started"
    assert ended["type"] == "trace.ended"
    assert {name: started[name] for name in common} == {name: ended[name] for name in common}
    assert ended["status"] == "ok"
    assert ended["success"] is True
    assert ended["span_count"] == 0
    assert ended["duration_ms"] == 1.0
    assert ended["end_time"] - ended["start_time"] == 1000


async def test_every_line_is_valid_for_the_worker(recorded: MemoryCollector) -> None:
    async with TraceContext("learn", telegram_id=-(2**63), user_id=0, metadata={"\x00": float("nan")}):
        with suppress(ValueError), span("a\x00b", kind="tool") as step:
            step.set_input({"x": "\ud800"})
            step.set_output([1, 2**70, b"\xff"])
            step.set_attribute("gen_ai.request.model", "m")
            raise ValueError("\ud800\x00")
    for event in recorded.events:
        ANY_EVENT.validate_python(event)
    assert len(recorded.events) == 3


async def test_an_exception_is_recorded_and_let_through(recorded: MemoryCollector) -> None:
    with pytest.raises(KeyError):
        async with TraceContext("train") as trace:
            raise KeyError("missing")
    assert trace.status == "error"
    assert trace.error == "KeyError: 'missing'"
    assert trace.duration_ms == 1.0
    assert recorded.traces[0]["error"] == "KeyError: 'missing'"
    assert recorded.traces[0]["success"] is False


async def test_cancellation_is_not_a_failure(recorded: MemoryCollector) -> None:
    entered = asyncio.Event()

    async def pipeline() -> None:
        async with TraceContext("train"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(pipeline())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert recorded.traces[0]["status"] == "cancelled"
    assert recorded.traces[0]["success"] is False


def test_plain_with_nests_and_links(recorded: MemoryCollector) -> None:
    with TraceContext("outer") as outer:
        with span("step"), TraceContext("inner") as inner:
            assert get_current_trace_id() == inner.trace_id
        assert get_current_trace_id() == outer.trace_id
    assert get_current_trace_id() is None
    inner_trace, outer_trace = recorded.traces
    step = recorded.spans[0]
    assert inner.trace_id != outer.trace_id
    assert inner_trace["parent"] == f"00-{outer.trace_id.hex}-{step['span_id']}-01"
    assert "parent" not in outer_trace
    assert step["trace_id"] == str(outer.trace_id)


def test_a_traceparent_links_and_keeps_the_id(recorded: MemoryCollector) -> None:
    with TraceContext("caller"):
        headers = inject({"accept": "*/*"})
    with TraceContext("callee", traceparent=headers["traceparent"]) as callee:
        pass
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", headers["traceparent"])
    assert recorded.traces[1]["parent"] == headers["traceparent"]
    assert callee.trace_id.hex not in headers["traceparent"]


@pytest.mark.parametrize("header", ["", "nonsense", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "ff-" + "1" * 50])
def test_a_broken_traceparent_is_ignored(recorded: MemoryCollector, header: str) -> None:
    with TraceContext("callee", traceparent=header):
        pass
    assert "parent" not in recorded.traces[0]


def test_outside_a_trace_nothing_is_injected_or_current(recorded: MemoryCollector) -> None:
    assert inject({}) == {}
    current_span().set_attribute("a", 1)
    with span("alone") as step:
        step.set_output(1)
    assert recorded.events == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"pipeline_name": ""}, ValueError),
        ({"pipeline_name": "x" * 201}, ValueError),
        ({"pipeline_name": 5}, TypeError),
        ({"pipeline_name": "p", "telegram_id": "42"}, TypeError),
        ({"pipeline_name": "p", "telegram_id": True}, TypeError),
        ({"pipeline_name": "p", "user_id": 2**63}, ValueError),
        ({"pipeline_name": "p", "session_id": 5}, TypeError),
        ({"pipeline_name": "p", "metadata": []}, TypeError),
        ({"pipeline_name": "p", "tags": "one"}, TypeError),
        ({"pipeline_name": "p", "tags": [1]}, TypeError),
        ({"pipeline_name": "p", "traceparent": 5}, TypeError),
    ],
)
def test_nonsense_is_refused_at_construction(arguments: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        TraceContext(**arguments)  # type: ignore[arg-type]


def test_facts_before_the_first_span_go_to_the_metadata(recorded: MemoryCollector) -> None:
    with TraceContext("support") as trace:
        current_span().set_attribute("route", "fast")
        trace.metadata["cost"] = 3
    assert recorded.traces[0]["metadata"] == {"route": "fast", "cost": 3}


def test_a_context_that_is_used_again_opens_another_trace(recorded: MemoryCollector) -> None:
    context = TraceContext("support")
    with context:
        first = context.trace_id
    with context:
        second = context.trace_id
    assert first != second
    assert [event["trace_id"] for event in recorded.traces] == [str(first), str(second)]


def test_a_context_that_is_open_already_does_not_hurt_the_bot(recorded: MemoryCollector) -> None:
    context = TraceContext("support")
    with context, context:
        pass
    assert len(recorded.traces) == 1
    assert get_current_trace_id() is None


def test_sampling_is_decided_at_the_head() -> None:
    with recording(sample_rate=0.0) as memory:
        with TraceContext("support") as trace, span("step"):
            assert get_current_trace_id() == trace.trace_id
            assert inject({})["traceparent"].endswith("-00")
        assert memory.events == []
        assert memory.stats().emitted == 0


def test_the_sampled_share_is_about_the_rate() -> None:
    with recording(sample_rate=0.25) as memory:
        for _ in range(2000):
            with TraceContext("support"):
                pass
        assert 400 < len(memory.traces) < 600


def test_the_off_switch() -> None:
    with recording(enabled=False) as memory:
        with TraceContext("support"), span("step"):
            pass
        assert memory.events == []


@pytest.mark.parametrize(
    ("capture", "kept", "left_out"),
    [
        ("metadata", {"attributes", "error"}, {"input_data", "output_data"}),
        ("off", {"error"}, {"input_data", "output_data", "attributes", "metadata"}),
    ],
)
def test_capture_levels(capture: str, kept: set[str], left_out: set[str]) -> None:
    with recording(capture=capture) as memory:
        payload = "-".join(("private", "words"))
        message = payload if capture == "off" else "told"
        with suppress(ValueError), TraceContext("support", metadata={"a": 1}), span("s", attributes={"b": 2}) as s:
            s.set_input(payload)
            s.set_output(payload)
            raise ValueError(message)
        seen = set().union(*memory.events)
        assert kept <= seen
        assert not left_out & seen
        assert payload not in str(memory.events)


def test_without_a_collector_everything_is_a_no_op() -> None:
    from tracequeue import get_collector

    assert get_collector() is None
    with TraceContext("support") as trace, span("step") as step:
        step.set_output(1)
        assert get_current_trace_id() == trace.trace_id
    assert trace.status is None


def test_the_innermost_span_alone_carries_the_stack_trace(recorded: MemoryCollector) -> None:
    with pytest.raises(ZeroDivisionError), TraceContext("support"), span("outer"), span("inner"):
        1 / 0  # noqa: B018
    inner, outer = recorded.spans
    assert "1 / 0" in inner["attributes"]["exception.stacktrace"]
    assert "attributes" not in outer
    assert outer["error"] == inner["error"] == "ZeroDivisionError: division by zero"


def test_a_handled_exception_can_fail_the_span(recorded: MemoryCollector) -> None:
    with TraceContext("support"), span("call") as step:
        step.record_error(TimeoutError("slow"))
    assert recorded.spans[0]["status"] == "error"
    assert recorded.traces[0]["status"] == "ok"


def test_a_place_of_large_values_is_remembered_although_there_are_too_many_notes(recorded: MemoryCollector) -> None:
    with TraceContext("support"), span("crowded") as step:
        step.set_input({f"key {number}": float("nan") for number in range(MAX_NOTES + 1)})
        step.set_output("x" * 100_000)
    assert site_of_block("crowded", None).wide_output
