"""All processor time that a span costs the bot: its own thread, the publisher's and the wire's, against a real Redis.

Bursts that the buffer holds, each flushed: nothing is dropped, and nobody waits for anybody.
"""

import asyncio
import random
import tempfile
from pathlib import Path
from time import process_time
from typing import Any
from uuid import uuid4

from benchmarks.budgets import Figure
from benchmarks.workload import passage
from tracequeue import TraceContext, init_collector, traced_span
from tracequeue.collector import TraceCollector
from tracequeue_worker.embedded.redis import embedded_redis

ROUNDS, BURSTS, SPANS = 7, 10, 2_000


@traced_span("agent:trainer", kind="agent")
async def traced(user: str, text: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"plan": text + text[:180], "score": 0.5}


async def bare(user: str, text: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"plan": text + text[:180], "score": 0.5}


async def burst(step: Any, texts: list[str]) -> None:
    async with TraceContext("benchmark"):
        for text in texts:
            await step("alice", text, {"mode": "fast", "tries": [1, 2, 3]})


async def round_of(step: Any, texts: list[str], collector: TraceCollector) -> float:
    """Microseconds a span."""
    before = process_time()
    for _ in range(BURSTS):
        await burst(step, texts)
        assert await collector.flush(60)
    return (process_time() - before) / BURSTS / SPANS * 1e6


async def measured(redis_url: str) -> list[float]:
    collector = init_collector(redis_url=redis_url, prefix=uuid4().hex)
    chance = random.Random(1)
    texts = [passage(chance, 35) for _ in range(SPANS)]
    costs = []
    for _ in range(ROUNDS):
        without = await round_of(bare, texts, collector)
        costs.append(await round_of(traced, texts, collector) - without)
    stats = await collector.stop()
    assert not stats.dropped
    return costs


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, embedded_redis(Path(folder)) as url:
        return [Figure("bot", asyncio.run(measured(url)), "above the bare call, frames zstd")]


if __name__ == "__main__":
    print(measure())
