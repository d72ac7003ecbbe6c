"""A bot as its author types it, checked by `mypy --strict`: never run.

Each `type: ignore` names an error that must be there: mypy itself says where one has disappeared.
"""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type
from uuid import UUID

from tracequeue import (
    EmitterSettings,
    TraceCollector,
    TraceContext,
    current_span,
    get_collector,
    get_current_trace_id,
    init_collector,
    inject,
    span,
    traced_span,
)
from tracequeue.context import bind


@traced_span("agent:add")
def add(left: int, right: int = 1, *, note: str = "") -> int:
    return left + right


@traced_span(kind="llm", attributes={"gen_ai.system": "anthropic"})
async def complete(prompt: str) -> str:
    return prompt


@traced_span("llm:stream", capture_output=False)
async def stream(prompt: str) -> AsyncIterator[str]:
    yield prompt


@traced_span()
def words(text: str) -> Iterator[str]:
    yield text


class Agent:
    @traced_span("agent:run")
    async def run(self, text: str) -> list[str]:
        return [text]

    @classmethod
    @traced_span("agent:make")
    def make(cls, name: str) -> "Agent":
        return cls()

    @staticmethod
    @traced_span("agent:count")
    def count(text: str) -> int:
        return len(text)


async def signatures_are_kept() -> None:
    assert_type(add(1, 2, note="x"), int)
    assert_type(await complete("hello"), str)
    assert_type(await Agent().run("hello"), list[str])
    assert_type(Agent.make("one"), Agent)
    assert_type(Agent.count("one"), int)
    assert_type(list(words("hello")), list[str])
    assert_type([word async for word in stream("hello")], list[str])
    assert_type(bind(add)(1), int)


async def wrong_arguments_are_errors() -> None:
    add("1")  # type: ignore[arg-type]
    add(1, 2, "x")  # type: ignore[call-arg]
    add(1, remark="x")  # type: ignore[call-arg]
    await complete(7)  # type: ignore[arg-type]
    await complete()  # type: ignore[call-arg]
    await Agent().run(b"hello")  # type: ignore[arg-type]
    Agent.make(1)  # type: ignore[arg-type]
    Agent.count(1)  # type: ignore[arg-type]
    stream(None)  # type: ignore[arg-type]
    words(1)  # type: ignore[arg-type]
    bind(add)("1")  # type: ignore[arg-type]
    _: str = add(1)  # type: ignore[assignment]


def wrong_decorations_are_errors() -> None:
    traced_span(7)  # type: ignore[arg-type]
    traced_span("name", "llm")  # type: ignore[call-arg]
    traced_span("name", capture_inputs=False)  # type: ignore[call-arg]
    traced_span("name")(7)  # type: ignore[arg-type]


async def traces_and_spans() -> None:
    async with TraceContext("support", telegram_id=42, metadata={"plan": "free"}, tags=["a"]) as trace:
        assert_type(trace, TraceContext)
        assert_type(trace.trace_id, UUID)
        assert_type(trace.duration_ms, float | None)
        assert_type(await trace.persisted(timeout=1.0), bool)
    with TraceContext("support", traceparent=inject({})["traceparent"]), span("db:lookup", kind="tool") as lookup:
        lookup.set_output([1, 2])
        current_span().set_attribute("rows", 2)
    async with span("db:lookup"):
        pass
    TraceContext(7)  # type: ignore[arg-type]
    TraceContext("support", 42)  # type: ignore[call-arg]
    TraceContext("support", telegram_id="42")  # type: ignore[arg-type]
    TraceContext("support", metadata=["plan"])  # type: ignore[arg-type]


async def the_collector() -> None:
    collector = init_collector(service="bot")
    assert_type(collector, TraceCollector)
    assert_type(init_collector(EmitterSettings(service="bot")), TraceCollector)
    assert_type(get_collector(), TraceCollector | None)
    await collector.start()
    assert_type(await collector.flush(timeout=1.0), bool)
    assert_type(await collector.persisted(timeout=1.0), bool)
    assert_type((await collector.stop()).dropped, dict[str, int])
    assert_type(collector.stats().emitted, int)
    assert_type(get_current_trace_id(), UUID | None)
    init_collector("redis://127.0.0.1")  # type: ignore[arg-type]
