"""@traced_span on functions: what it records, and that the function does not notice."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any

import pytest

from tracequeue import TraceContext, current_span, get_current_trace_id, span, traced_span
from tracequeue.context import bind
from tracequeue.testing import MemoryCollector


class Agent:
    @traced_span("agent:trainer", kind="agent")
    async def run(self, text: str, *extra: int, mode: str = "fast", **options: int) -> dict[str, Any]:
        return {"plan": await self.complete(text)}

    @traced_span("llm:claude", kind="llm", attributes={"gen_ai.system": "anthropic"})
    async def complete(self, prompt: str) -> str:
        current_span().set_attribute("gen_ai.request.model", "claude")
        return prompt.upper()

    @classmethod
    @traced_span("agent:make")
    def make(cls, name: str) -> str:
        return name

    @traced_span("agent:helper")
    @staticmethod
    def helper(name: str) -> str:
        return name


async def test_inputs_by_name_output_parent_and_attributes(recorded: MemoryCollector) -> None:
    async with TraceContext("support"):
        assert await Agent().run("hi", 1, 2, mode="slow", depth=3) == {"plan": "HI"}
    llm, agent = recorded.spans
    assert agent["input_data"] == {"text": "hi", "extra": [1, 2], "mode": "slow", "depth": 3}
    assert agent["output_data"] == {"plan": "HI"}
    assert llm["input_data"] == {"prompt": "hi"}
    assert llm["attributes"] == {"gen_ai.system": "anthropic", "gen_ai.request.model": "claude"}
    assert llm["parent_span_id"] == agent["span_id"]
    assert "parent_span_id" not in agent
    assert llm["kind"] == "llm"
    assert agent["start_time"] <= llm["start_time"] <= llm["end_time"] <= agent["end_time"]
    assert recorded.traces[0]["span_count"] == 2


def test_class_and_static_methods(recorded: MemoryCollector) -> None:
    with TraceContext("support"):
        assert Agent.make("a") == "a"
        assert Agent.helper("b") == "b"
    assert [step["input_data"] for step in recorded.spans] == [{"name": "a"}, {"name": "b"}]


async def test_inputs_are_as_they_were_at_the_call(recorded: MemoryCollector) -> None:
    @traced_span()
    async def extend(messages: list[str]) -> list[str]:
        messages.append("more")
        return messages

    async with TraceContext("support"):
        await extend(["one"])
    assert recorded.spans[0]["input_data"] == {"messages": ["one"]}
    assert recorded.spans[0]["output_data"] == ["one", "more"]


def test_the_name_defaults_to_the_functions(recorded: MemoryCollector) -> None:
    @traced_span()
    def compute() -> None: ...

    with TraceContext("support"):
        compute()
    assert recorded.spans[0]["span_name"].endswith("compute")


async def test_capture_can_be_turned_off(recorded: MemoryCollector) -> None:
    @traced_span("login", capture_input=False, capture_output=False)
    async def login(password: str) -> str:
        return password

    async with TraceContext("support"):
        await login("hunter2")
    assert not {"input_data", "output_data"} & set(recorded.spans[0])


async def test_gather_create_task_and_to_thread_keep_the_parent(recorded: MemoryCollector) -> None:
    @traced_span("child")
    async def child() -> str:
        await asyncio.sleep(0)
        return str(get_current_trace_id())

    @traced_span("thread")
    def in_thread() -> str:
        return str(get_current_trace_id())

    @traced_span("parent")
    async def parent() -> list[str]:
        task = asyncio.create_task(child())
        return [*await asyncio.gather(child(), child()), await task, await asyncio.to_thread(in_thread)]

    async with TraceContext("learn") as trace:
        ids = await parent()
    assert ids == [str(trace.trace_id)] * 4
    top = recorded.spans[-1]
    assert [step["parent_span_id"] for step in recorded.spans[:-1]] == [top["span_id"]] * 4


def test_bind_carries_the_trace_into_a_thread_pool(recorded: MemoryCollector) -> None:
    @traced_span("work")
    def work(item: int) -> int:
        return item * 2

    together = threading.Barrier(3)

    def meet(item: int) -> int:
        together.wait(10)
        return work(item)

    with TraceContext("learn") as trace, ThreadPoolExecutor(3) as pool:
        assert list(pool.map(bind(meet), range(3))) == [0, 2, 4]
    assert {step["trace_id"] for step in recorded.spans} == {str(trace.trace_id)}
    assert len(recorded.spans) == 3


async def test_concurrent_traces_do_not_mix(recorded: MemoryCollector) -> None:
    @traced_span("step")
    async def step() -> None:
        await asyncio.sleep(0)

    async def pipeline() -> None:
        async with TraceContext("learn"):
            await asyncio.gather(step(), step())

    await asyncio.gather(*(pipeline() for _ in range(10)))
    counts = [sum(s["trace_id"] == t["trace_id"] for s in recorded.spans) for t in recorded.traces]
    assert counts == [2] * 10


async def test_cancelled_and_failed_are_told_apart(recorded: MemoryCollector) -> None:
    started = asyncio.Event()

    @traced_span("slow")
    async def slow() -> None:
        started.set()
        await asyncio.Event().wait()

    @traced_span("broken")
    async def broken() -> None:
        raise OSError("gone")

    async with TraceContext("learn"):
        task = asyncio.create_task(slow())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(OSError, match="gone"):
            await broken()
    assert [step["status"] for step in recorded.spans] == ["cancelled", "error"]


def test_an_exception_that_is_false_is_a_failure(recorded: MemoryCollector) -> None:
    class Empty(Exception):
        def __len__(self) -> int:
            return 0

    @traced_span("step")
    def broken() -> None:
        raise Empty

    with TraceContext("support"), pytest.raises(Empty):
        broken()
    assert recorded.spans[0]["status"] == "error"


@pytest.mark.parametrize("value", [None, "", 0, False, [], {}])
def test_what_is_empty_is_recorded(value: object, recorded: MemoryCollector) -> None:
    @traced_span("step")
    def step(text: object) -> object:
        return text

    with TraceContext("support"):
        step(value)
        with span("block") as block:
            block.set_input(value)
    assert [recorded.spans[0]["input_data"], recorded.spans[0]["output_data"]] == [{"text": value}, value]
    assert recorded.spans[1]["input_data"] == value
    assert "output_data" not in recorded.spans[1]


def test_parameters_may_be_named_by_members_of_an_enum(recorded: MemoryCollector) -> None:
    class Name(StrEnum):
        TEXT = "text"

    def step(*args: object) -> None: ...

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    step.__signature__ = inspect.Signature([inspect.Parameter(Name.TEXT, kind)])  # type: ignore[attr-defined]
    with TraceContext("support"):
        traced_span("step")(step)("hi")
    assert recorded.spans[0]["input_data"] == {"text": "hi"}


async def test_outside_a_trace_a_function_runs_as_if_undecorated(recorded: MemoryCollector) -> None:
    @traced_span("stream")
    async def stream() -> AsyncIterator[object]:
        yield get_current_trace_id()

    @traced_span("numbers")
    def numbers() -> Iterator[int]:
        yield 1
        return

    assert await Agent().run("hi") == {"plan": "HI"}
    assert Agent.make("a") == "a"
    assert list(numbers()) == [1]
    generator = stream()
    with TraceContext("other") as trace:
        assert await anext(generator) == trace.trace_id
    assert recorded.spans == []


def test_a_decorated_function_keeps_its_nature() -> None:
    @traced_span("a")
    async def coroutine(x: int) -> None: ...

    @traced_span("b")
    def generator() -> Iterator[int]:
        yield 1

    @traced_span("c")
    async def async_generator() -> AsyncIterator[int]:
        yield 1

    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(async_generator)
    assert str(inspect.signature(coroutine)) == "(x: int) -> None"


def test_misuse_is_refused_at_decoration() -> None:
    with pytest.raises(TypeError, match="parentheses"):
        traced_span(lambda: None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="function or method"):
        traced_span("a")(Agent)
    with pytest.raises(ValueError, match="1 to 200"):
        traced_span("")(lambda: None)
    with pytest.raises(TypeError, match="text"):
        traced_span(5)(lambda: None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="kind"):
        traced_span("a", kind=5)(lambda: None)  # type: ignore[arg-type]
