"""From the end of a span until its row can be seen: at 10, 1,000 and 10,000 spans a second, with default settings.

Postgres says when each row's transaction was committed (`track_commit_timestamp`), by the clock of this machine.
"""

import asyncio
import os
import tempfile
from pathlib import Path
from statistics import quantiles
from typing import Final
from uuid import uuid4

import asyncpg

from benchmarks.budgets import Figure
from tracequeue import TraceContext, init_collector, traced_span
from tracequeue_worker import migrate
from tracequeue_worker.embedded import Servers, servers
from tracequeue_worker.embedded.workers import environment_of, worker_processes
from tracequeue_worker.settings import WorkerSettings

RATES: Final = {10: 20.0, 1_000: 15.0, 10_000: 10.0}
"""Spans a second -> for how long, in seconds."""
JUDGED: Final = 1_000
WAITED: Final = """
    SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - end_time)::float8 * 1000 AS waited
    FROM pipeline_spans WHERE span_name = $1 ORDER BY waited
"""


async def emit(name: str, rate: int, seconds: float) -> int:
    @traced_span(name)
    async def step(text: str) -> str:
        return text

    loop = asyncio.get_running_loop()
    started, done = loop.time(), 0
    async with TraceContext("benchmark"):
        while (passed := loop.time() - started) < seconds:
            while done < passed * rate:
                await step("what shall I do tomorrow? " * 10)
                done += 1
            await asyncio.sleep(0.001)
    return done


async def waits(url: str, name: str, spans: int) -> list[float]:
    """Milliseconds, of all spans."""
    connection = await asyncpg.connect(url)
    try:
        while len(rows := await connection.fetch(WAITED, name)) < spans:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    finally:
        await connection.close()
    return [row["waited"] for row in rows]


async def measured(running: Servers) -> dict[int, list[float]]:
    collector = init_collector(redis_url=running.redis_url, prefix=uuid4().hex)
    settings = WorkerSettings(prefix=collector.settings.prefix)
    environment = environment_of(settings, running)
    found = {}
    with worker_processes(["latency"], environment, Path(os.devnull)):
        await emit("warm-up", 100, 3.0)
        for rate, seconds in RATES.items():
            name = f"at {rate}"
            found[rate] = await waits(running.database_url, name, await emit(name, rate, seconds))
        await collector.stop()
    return found


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        with servers(WorkerSettings.load(), Path(folder)) as running:
            asyncio.run(_remember_commits(running.database_url))
        with servers(WorkerSettings.load(), Path(folder)) as running:  # once more: the setting needs a restart
            asyncio.run(migrate.migrate(running.database_url))
            found = asyncio.run(measured(running))
    for rate, waited in found.items():
        cuts = quantiles(waited, n=100)
        print(f"at {rate:6,} spans/s: p50 {cuts[49]:.0f} ms, p95 {cuts[94]:.0f} ms, p99 {cuts[98]:.0f} ms")
    return [Figure("latency", [quantiles(found[JUDGED], n=100)[98]], "default settings, one worker")]


async def _remember_commits(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    await connection.close()


if __name__ == "__main__":
    print(measure())
