"""From the end of a span until its row can be seen, with default settings: at 10, 1,000 and 10,000 spans a second, and
of a quiet bot's traces from their end until they can be seen whole. Beside it what the haste costs.

Postgres says when each row's transaction was committed (`track_commit_timestamp`), by the clock of this machine.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from time import process_time, thread_time
from typing import Any, Final
from uuid import uuid4

import asyncpg
import psutil
from redis import Redis

from benchmarks.budgets import Figure
from benchmarks.workload import passage
from tracequeue import TraceContext, init_collector, traced_span
from tracequeue.keys import events_key
from tracequeue_worker import migrate
from tracequeue_worker.embedded import Servers, servers
from tracequeue_worker.embedded.workers import environment_of
from tracequeue_worker.settings import WorkerSettings

ROUNDS: Final = 3
SECONDS: Final = {10: 6.0, 1_000: 4.0, 10_000: 3.0}
"""Spans a second -> for how long, in a round."""
JUDGED: Final = 1_000
TRACES, STEPS, STEP_SECONDS, SILENCE_SECONDS = 3, 10, 0.4, 1.0
"""A quiet bot: so many traces a round, each of steps that take up to so long, and silence after each."""

WAITED: Final = "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - end_time)::float8 * 1000, xmin::text"
SPANS: Final = f"{WAITED} FROM pipeline_spans WHERE span_name = $1"
TRACES_ENDED: Final = f"{WAITED} FROM pipeline_traces WHERE pipeline_name = $1 AND end_time IS NOT NULL"
FRAMES: Final = "SELECT count(*) FROM pipeline_frames WHERE events > 0"


async def step(text: str, seconds: float = 0) -> dict[str, Any]:
    if seconds:
        await asyncio.sleep(seconds)
    return {"plan": text, "score": 0.5}


async def steady(rate: int, name: str, texts: list[str]) -> int:
    """Spans, evenly. How many."""
    traced, loop, done = traced_span(name)(step), asyncio.get_running_loop(), 0
    started = loop.time()
    async with TraceContext("benchmark"):
        while (passed := loop.time() - started) < SECONDS[rate]:
            while done < passed * rate:
                await traced(texts[done % len(texts)])
                done += 1
            await asyncio.sleep(max(0.001, done / rate - passed))
    return done


async def quiet(name: str, texts: list[str]) -> int:
    """Traces, one after the other. How many."""
    traced, chance = traced_span("step")(step), random.Random(name)
    for _ in range(TRACES):
        async with TraceContext(name):
            for _ in range(STEPS):
                await traced(chance.choice(texts), chance.random() * STEP_SECONDS)
        await asyncio.sleep(SILENCE_SECONDS)
    return TRACES


@dataclass(frozen=True, slots=True)
class Load:
    """What a bot does, which rows show that it has arrived, and how many spans each of these stands for."""

    name: str
    emit: Callable[[str, list[str]], Awaitable[int]]
    seen: str
    spans: int = 1


LOADS: Final = (
    *(Load(f"{rate:,} spans/s", partial(steady, rate), SPANS) for rate in SECONDS),
    Load("a quiet bot's traces", quiet, TRACES_ENDED, STEPS),
)


@dataclass(frozen=True, slots=True)
class Round:
    """How long each row took to be seen, in ms, and what it cost: frames, commits, bytes, seconds of processor time."""

    waits: list[float]
    spans: int
    commits: int
    frames: float
    redis_bytes: float
    publishing: float
    working: float

    def percentile(self, percent: int) -> float:
        return quantiles(self.waits, n=100, method="inclusive")[percent - 1]


class Bench:
    """A bot, its worker and their servers, asked what they used."""

    def __init__(self, store: asyncpg.Connection, redis: Redis, key: str, worker: int) -> None:
        self._store, self._redis, self._key, self._worker = store, redis, key, psutil.Process(worker)

    async def round_of(self, load: Load, name: str, texts: list[str]) -> Round:
        before = await self._used()
        sent = await load.emit(name, texts)
        while len(rows := await self._store.fetch(load.seen, name)) < sent:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        used = [after - earlier for earlier, after in zip(before, await self._used(), strict=True)]
        return Round([row[0] for row in rows], sent * load.spans, len({row[1] for row in rows}), *used)

    async def _used(self) -> tuple[float, float, float, float]:
        """So far: frames, bytes in Redis, processor time of the bot's threads beside its loop's, and of the worker."""
        size = self._redis.execute_command("MEMORY", "USAGE", self._key, "SAMPLES", 0)
        assert isinstance(size, int)
        times = self._worker.cpu_times()
        frames = await self._store.fetchval(FRAMES)
        return frames, size, process_time() - thread_time(), times.user + times.system


async def measured(running: Servers, prefix: str, worker: int) -> dict[str, list[Round]]:
    """The loads in turn."""
    texts = [passage(random.Random(number), 60) for number in range(1_000)]
    found: dict[str, list[Round]] = {load.name: [] for load in LOADS}
    collector = init_collector(redis_url=running.redis_url, prefix=prefix)
    store = await asyncpg.connect(running.database_url)
    with Redis.from_url(running.redis_url) as redis:
        async with TraceContext("the first"):
            pass
        assert await collector.persisted(60)
        bench = Bench(store, redis, events_key(prefix, 0), worker)
        for number in range(ROUNDS):
            for load in LOADS:
                found[load.name].append(await bench.round_of(load, f"{load.name}, round {number}", texts))
    await collector.stop()
    await store.close()
    return found


def with_worker(running: Servers) -> dict[str, list[Round]]:
    settings = WorkerSettings(prefix=uuid4().hex)
    command = [sys.executable, "-m", "tracequeue_worker", "worker"]
    with subprocess.Popen(command, env=environment_of(settings, running), stderr=subprocess.DEVNULL) as worker:
        try:
            return asyncio.run(measured(running, settings.prefix, worker.pid))
        finally:
            worker.terminate()


def show(name: str, rounds: list[Round]) -> None:
    """Medians of the rounds; of the latencies the least and the most too."""
    waits = [sorted(one.percentile(percent) for one in rounds) for percent in (50, 99)]
    p50, p99 = (f"{median(values):.0f} ms ({values[0]:.0f} - {values[-1]:.0f})" for values in waits)
    costs = {
        "spans a frame": median(one.spans / one.frames for one in rounds),
        "spans a commit": median(one.spans / one.commits for one in rounds),
        "bytes in Redis": median(one.redis_bytes / one.spans for one in rounds),
        "us of the publisher": median(one.publishing / one.spans * 1e6 for one in rounds),
        "us of the worker": median(one.working / one.spans * 1e6 for one in rounds),
    }
    print(f"{name}: p50 {p50}, p99 {p99}")
    print("    " + ", ".join(f"{cost:,.1f} {what}" for what, cost in costs.items()))


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        with servers(WorkerSettings.load(), Path(folder)) as running:
            asyncio.run(_remember_commits(running.database_url))
        with servers(WorkerSettings.load(), Path(folder)) as running:  # once more: the setting needs a restart
            asyncio.run(migrate.migrate(running.database_url))
            found = with_worker(running)
    for name, rounds in found.items():
        show(name, rounds)
    judged = [one.percentile(99) for one in found[f"{JUDGED:,} spans/s"]]
    return [Figure("latency", judged, "default settings, one worker")]


async def _remember_commits(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    await connection.close()


if __name__ == "__main__":
    print(measure())
