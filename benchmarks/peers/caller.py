"""Peers in the bot's own thread: a program of the environment `caller`, which prints the rounds of `hot_path` as JSON.

Each peer records the same call with its arguments and its result, inside an open trace, and exports to nowhere.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import logfire
import orjson
from langfuse import Langfuse, observe
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.hot_path import Peer, bare, measured


class Null(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def batches() -> BatchSpanProcessor:
    return BatchSpanProcessor(Null(), max_queue_size=1_000_000, schedule_delay_millis=100)


def opentelemetry() -> Peer:
    """The bare SDK, inputs and outputs as two attributes of JSON."""
    provider = TracerProvider()
    provider.add_span_processor(batches())
    tracer = provider.get_tracer("benchmark")

    async def step(user: str, text: str, options: dict[str, Any]) -> dict[str, Any]:
        with tracer.start_as_current_span("agent:trainer") as span:
            span.set_attribute("input", orjson.dumps({"user": user, "text": text, "options": options}).decode())
            result = await bare(user, text, options)
            span.set_attribute("output", orjson.dumps(result).decode())
            return result

    return Peer(step, lambda: tracer.start_as_current_span("benchmark"), provider.force_flush)


def logfire_instrument() -> Peer:
    logfire.configure(send_to_logfire=False, console=False, metrics=False, additional_span_processors=[batches()])
    step = logfire.instrument("agent:trainer", record_return=True)(bare)
    return Peer(step, lambda: logfire.span("benchmark"), logfire.force_flush)


def langfuse_observe() -> Peer:
    client = Langfuse(
        public_key="benchmark", secret_key="benchmark", base_url="http://127.0.0.1:9",
        span_exporter=Null(), tracer_provider=TracerProvider(),
    )  # fmt: skip
    step = observe(name="agent:trainer")(bare)
    return Peer(step, lambda: client.start_as_current_observation(name="benchmark"), client.flush)


PEERS: dict[str, Callable[[], Peer]] = {
    "opentelemetry": opentelemetry,
    "logfire": logfire_instrument,
    "langfuse": langfuse_observe,
}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured({name: make() for name, make in PEERS.items()}))))
