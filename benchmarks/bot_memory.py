"""How much larger a bot becomes by recording: while Redis takes 10,000 spans a second, and while it is frozen and the
buffer is full. Each in a process of its own, above the same bot that has recorded one trace.
"""

import asyncio
import random
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from uuid import uuid4

import psutil

from benchmarks.stall import frozen_redis
from benchmarks.workload import passage
from tracequeue import EmitterSettings, TraceContext, init_collector, traced_span
from tracequeue_worker.embedded.redis import embedded_redis

ROUNDS = 3
SPANS, RATE = 60_000, 10_000
"""Enough to fill the buffer, at some 900 bytes a span."""


@traced_span("agent:trainer", kind="agent")
async def step(text: str) -> dict[str, object]:
    return {"plan": text, "score": 0.5}


async def growth(redis_url: str) -> tuple[float, int]:
    """In MB, and how many events found no room."""
    texts = [passage(random.Random(number), 50) for number in range(1_000)]
    collector = init_collector(redis_url=redis_url, prefix=uuid4().hex)
    async with TraceContext("the first"):
        await step(texts[0])
    process = psutil.Process()
    before = peak = process.memory_info().rss
    async with TraceContext("benchmark"):
        for number in range(SPANS):
            await step(texts[number % len(texts)])
            if number % (RATE // 100) == 0:
                await asyncio.sleep(0.01)
                peak = max(peak, process.memory_info().rss)
    dropped = collector.stats().dropped.get("buffer_full", 0)
    await collector.stop(timeout=0.1)
    return (peak - before) / 1e6, dropped


def bot(redis_url: str) -> tuple[float, int]:
    return asyncio.run(growth(redis_url))


def show(name: str, redis_url: str) -> None:
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as own:
        rounds = list(own.map(bot, [redis_url] * ROUNDS))
    grown = [megabytes for megabytes, _ in rounds]
    print(f"{name}: {median(grown):.0f} MB more ({min(grown):.0f} - {max(grown):.0f}), dropped {rounds[-1][1]:,}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, embedded_redis(Path(folder)) as redis_url:
        show(f"Redis takes {RATE:,} spans/s", redis_url)
    with frozen_redis() as redis_url:
        show(f"Redis is frozen, a buffer of {EmitterSettings().buffer_bytes / 1e6:.0f} MB", redis_url)


if __name__ == "__main__":
    main()
