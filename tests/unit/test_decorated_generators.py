"""Decorated generators, plain and asynchronous: one span from the first item to the last, and nobody notices."""

import asyncio
import contextvars
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tracequeue import TraceContext, current_span, get_current_trace_id, span, traced_span
from tracequeue.current import current
from tracequeue.testing import MemoryCollector


def test_generators_are_seen_by_their_consumer_as_before(recorded: MemoryCollector) -> None:
    @traced_span("numbers")
    def numbers(limit: int) -> Iterator[int]:
        for number in range(limit):
            with span("one"):
                yield number

    with TraceContext("learn") as trace:
        scopes = []
        for _ in numbers(3):
            scopes.append(current.get())
            with span("consumer"):
                pass
        assert [scope.trace_id for scope in scopes if scope] == [trace.trace_id] * 3
        assert len({id(scope) for scope in scopes}) == 1
    by_name = {step["span_name"]: step for step in recorded.spans}
    assert by_name["one"]["parent_span_id"] == by_name["numbers"]["span_id"]
    assert "parent_span_id" not in by_name["consumer"]
    assert by_name["numbers"]["output_data"] == [0, 1, 2]


def test_a_generator_keeps_send_throw_and_return(recorded: MemoryCollector) -> None:
    @traced_span("echo")
    def echo() -> Any:
        got = yield "ready"
        try:
            yield got
        except KeyError:
            yield "caught"
        return "done"

    with TraceContext("learn"):
        generator = echo()
        assert next(generator) == "ready"
        assert generator.send(5) == 5
        assert generator.throw(KeyError("x")) == "caught"
        with pytest.raises(StopIteration) as stop:
            next(generator)
    assert stop.value.value == "done"
    assert recorded.spans[0]["output_data"] == ["ready", 5, "caught"]
    assert recorded.spans[0]["status"] == "ok"


def test_a_generator_that_is_closed_early_or_collected(recorded: MemoryCollector) -> None:
    @traced_span("endless")
    def endless() -> Iterator[str]:
        while True:
            yield "x"

    with TraceContext("learn"):
        for _ in endless():
            break
        gc.collect()
        assert isinstance(current_span(), type(current.get()))
    assert [step["status"] for step in recorded.spans] == ["cancelled"]


async def test_a_streamed_answer_is_one_text(recorded: MemoryCollector) -> None:
    @traced_span("llm:claude")
    async def stream(prompt: str) -> AsyncIterator[str]:
        for word in ("Hel", "lo ", prompt):
            await asyncio.sleep(0)
            yield word

    async with TraceContext("learn"):
        async for _ in stream("you"):
            assert current.get().__class__.__name__ == "Trace"
    assert recorded.spans[0]["output_data"] == "Hello you"


async def test_an_async_generator_closed_from_another_task_and_context(recorded: MemoryCollector) -> None:
    closed = []

    @traced_span("stream")
    async def stream() -> AsyncIterator[int]:
        try:
            with span("inside"):
                yield 1
                yield 2
        finally:
            closed.append(get_current_trace_id())

    async with TraceContext("learn") as trace:
        generator = stream()
        assert await anext(generator) == 1
        outside = contextvars.Context()
        await asyncio.create_task(generator.aclose(), context=outside)  # type: ignore[attr-defined]
        assert outside.get(current) is None
        assert get_current_trace_id() == trace.trace_id
    assert closed == [trace.trace_id]
    assert {step["span_name"]: step["status"] for step in recorded.spans} == {
        "inside": "cancelled",
        "stream": "cancelled",
    }


async def test_athrow_and_asend_reach_the_generator(recorded: MemoryCollector) -> None:
    @traced_span("echo")
    async def echo() -> Any:
        got = yield "ready"
        try:
            yield got
        except KeyError:
            yield "caught"

    async with TraceContext("learn"):
        generator = echo()
        assert await anext(generator) == "ready"
        assert await generator.asend(5) == 5
        assert await generator.athrow(KeyError("x")) == "caught"
        with pytest.raises(StopAsyncIteration):
            await anext(generator)


async def test_a_long_stream_is_bounded_and_says_so(recorded: MemoryCollector) -> None:
    @traced_span("long")
    def long() -> Iterator[object]:
        yield "text"
        for number in range(100_000):
            yield {"number": number}

    with TraceContext("learn"):
        assert sum(1 for _ in long()) == 100_001
    step = recorded.spans[0]
    assert step["output_data"][:2] == ["text", {"number": 0}]
    kept = len(step["output_data"])
    assert step["truncated"]["output_data"]["items_left_out"] == 100_001 - kept
