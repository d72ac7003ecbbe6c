"""What a span costs the bot's own thread: bare call, decorated outside a trace, and recorded inside one.

The OpenTelemetry SDK is measured beside it where it is installed. Alternating rounds, medians, microseconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median, quantiles
from time import perf_counter_ns
from typing import Any

import orjson

from benchmarks.budgets import Figure
from tracequeue import TraceContext, traced_span
from tracequeue import collector as process
from tracequeue.collector import TraceCollector
from tracequeue.settings import EmitterSettings

ROUNDS, CALLS = 15, 5_000
PLAN = {"plan": "rest, then a short run. " * 16, "score": 0.5}
ARGUMENTS = ("alice", "what shall I do tomorrow? " * 6, {"mode": "fast", "tries": [1, 2, 3]})

Step = Callable[[str, str, dict[str, Any]], Awaitable[dict[str, Any]]]


class Draining(TraceCollector):
    """The real collector, whose chunks are taken and given back instead of sent: the publisher is not measured."""

    def _wake(self) -> None:
        for buffer in self._buffers:
            while chunk := buffer.take(partial=False):
                buffer.recycle(chunk)


async def bare(user: str, text: str, options: dict[str, Any]) -> dict[str, Any]:
    return PLAN


def opentelemetry_step() -> Step | None:
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    except ModuleNotFoundError:
        return None

    class Null(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Null(), max_queue_size=1_000_000, schedule_delay_millis=100))
    tracer = provider.get_tracer("benchmark")

    async def step(user: str, text: str, options: dict[str, Any]) -> dict[str, Any]:
        with tracer.start_as_current_span("agent:trainer") as span:
            span.set_attribute("input", orjson.dumps({"user": user, "text": text, "options": options}).decode())
            result = await bare(user, text, options)
            span.set_attribute("output", orjson.dumps(result).decode())
            return result

    return step


async def time_of(step: Step) -> float:
    start = perf_counter_ns()
    for _ in range(CALLS):
        await step(*ARGUMENTS)
    return (perf_counter_ns() - start) / CALLS / 1000


async def inside(step: Step) -> float:
    async with TraceContext("benchmark"):
        return await time_of(step)


async def measured() -> dict[str, list[float]]:
    process.use(Draining(EmitterSettings()))
    traced = traced_span("agent:trainer")(bare)
    other = opentelemetry_step()
    times: dict[str, list[float]] = {"bare call": [], "outside a trace": [], "recorded span": []}
    for _ in range(ROUNDS):
        times["bare call"].append(await time_of(bare))
        times["outside a trace"].append(await time_of(traced))
        times["recorded span"].append(await inside(traced))
        if other:
            times.setdefault("OpenTelemetry span", []).append(await time_of(other))
    process.use(None)
    return times


def measure() -> list[Figure]:
    """Against what is above the bare call in the same round."""
    times = asyncio.run(measured())
    print(f"caller's thread, microseconds per call: median (quartiles) of {ROUNDS} rounds of {CALLS}")
    for name, rounds in times.items():
        low, _, high = quantiles(rounds, n=4)
        print(f"  {name:20} {median(rounds):8.2f}  ({low:.2f} - {high:.2f})")
    above = {
        name: [one - bare for one, bare in zip(rounds, times["bare call"], strict=True)]
        for name, rounds in times.items()
    }
    figures = [Figure("outside", above["outside a trace"], "median of alternating rounds")]
    if other := above.get("OpenTelemetry span"):
        ours = above["recorded span"]
        ratios = [mine / theirs for mine, theirs in zip(ours, other, strict=True)]
        figures.append(Figure("span", ratios, f"{median(ours):.1f} us against {median(other):.1f} us"))
    else:
        print("  the SDK of OpenTelemetry is not installed: `make bench-peers` brings it")
    return figures


if __name__ == "__main__":
    measure()
