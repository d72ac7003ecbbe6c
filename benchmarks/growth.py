"""Growth: how fast one worker drains and how soon traces are found where nothing, a million or ten million spans are.

Three databases on one embedded Postgres. One worker drains into each in turn; then lists of traces and single traces
are read at random, as `tracequeue traces` and `tracequeue trace` read them. It takes some minutes and 15 GB of disk.
"""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import TypeAlias
from uuid import UUID

import asyncpg
from pydantic import SecretStr
from redis import Redis

from benchmarks import databases
from benchmarks.budgets import Figure
from benchmarks.history import DAYS, VARIED, fill_days, keep_varied
from benchmarks.replay import SPANS_OF_A_TRACE, fill
from tracequeue_worker import service
from tracequeue_worker.database import create_pool
from tracequeue_worker.embedded import servers
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.settings import WorkerSettings

NONE, MILLION, TEN_MILLIONS = SIZES = (0, 1_000_000, 10_000_000)
SPANS, ROUNDS = 100_000, 8
PROBES, PROBE_ROUNDS = 200, 5
LISTED, WINDOW = 50, timedelta(hours=1)

Probe: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Place:
    """A Redis, and a database that holds so many spans."""

    redis_url: str
    database_url: str
    size: int

    def settings(self, prefix: str = "tracequeue") -> WorkerSettings:
        return WorkerSettings(
            prefix=prefix, redis_url=SecretStr(self.redis_url), database_url=SecretStr(self.database_url)
        )

    def drain(self, prefix: str, spans: int = SPANS) -> float:
        """Spans per second of one worker."""
        with Redis.from_url(self.redis_url) as redis:
            redis.flushdb()
            fill(redis, prefix, spans)
        started = perf_counter()
        report = asyncio.run(service.run(self.settings(prefix), drain=True))
        elapsed = perf_counter() - started
        assert report.rows == spans + 2 * spans // SPANS_OF_A_TRACE, report
        return spans / elapsed

    def grow(self) -> None:
        """Fill the database, unless it is to hold nothing."""
        if not self.size:
            return
        started = perf_counter()
        self.drain("varied", VARIED)
        asyncio.run(keep_varied(self.database_url))
        asyncio.run(fill_days(self.database_url, self.size))
        print(f"{self.size:,} spans on {DAYS} days, made in {perf_counter() - started:.0f} s", flush=True)


@contextmanager
def places() -> Iterator[list[Place]]:
    with tempfile.TemporaryDirectory() as folder, servers(WorkerSettings.load(), Path(folder)) as running:
        made = []
        for size in SIZES:
            url = asyncio.run(databases.make(running.database_url, f"bench_{size}"))
            made.append(Place(running.redis_url, url, size))
            made[-1].grow()
        yield made


def drains(made: list[Place]) -> dict[int, list[float]]:
    """Spans per second by size, in turn, forth and back. What was drained stays, but where nothing is to be."""
    rates: dict[int, list[float]] = {place.size: [] for place in made}
    for number in range(ROUNDS):
        for place in made[:: 1 if number % 2 else -1]:
            rates[place.size].append(place.drain(f"round{number}"))
            if not place.size:
                asyncio.run(databases.execute(place.database_url, f"TRUNCATE {databases.TABLES}"))
    return rates


async def reads(place: Place) -> dict[str, list[float]]:
    """By what is read, the 95th of a hundred reads in milliseconds, once a round."""
    pool = await create_pool(place.settings(), role="tracequeue_reader")
    repo, ids = TraceRepo(pool), await some_ids(pool)
    found: dict[str, list[float]] = {"trace_list": [], "one_trace": []}
    for _ in range(PROBE_ROUNDS):
        found["trace_list"].append(await slow_one(lambda: read_list(repo)))
        found["one_trace"].append(await slow_one(lambda: read_trace(repo, next(ids))))
    await pool.close()
    return found


async def some_ids(pool: asyncpg.Pool) -> Iterator[UUID]:
    """From everywhere, each once, in no order."""
    rows = await pool.fetch("SELECT trace_id FROM pipeline_traces ORDER BY random() LIMIT $1", PROBES * PROBE_ROUNDS)
    return iter([row["trace_id"] for row in rows])


async def slow_one(probe: Probe) -> float:
    """The 95th of a hundred, in milliseconds."""
    elapsed = []
    for _ in range(PROBES):
        started = perf_counter()
        await probe()
        elapsed.append((perf_counter() - started) * 1000)
    return quantiles(elapsed, n=20)[-1]


async def read_list(repo: TraceRepo) -> None:
    since = datetime.now(UTC) - WINDOW - random.random() * timedelta(days=DAYS - 2)
    assert len(await repo.get_traces(since=since, until=since + WINDOW, limit=LISTED)) == LISTED


async def read_trace(repo: TraceRepo, trace_id: UUID) -> None:
    assert await repo.get_trace(trace_id)
    assert len(await repo.get_spans_for_trace(trace_id)) == SPANS_OF_A_TRACE


def measure() -> list[Figure]:
    with places() as made:
        rates = drains(made)
        found = {place.size: asyncio.run(reads(place)) for place in made if place.size}
    for size, speed in rates.items():
        print(f"at {size:>10,} spans: {median(speed):,.0f} spans/s", end="")
        print("".join(f", {name} p95 {median(times):.1f} ms" for name, times in found.get(size, {}).items()))
    full, empty = rates[TEN_MILLIONS], rates[NONE]
    ratios = [one / other for one, other in zip(full, empty, strict=True)]
    return [
        Figure("growth", ratios, f"{median(full):,.0f} spans/s against {median(empty):,.0f}"),
        *(
            Figure(name, times, f"{median(found[MILLION][name]):.1f} at a million")
            for name, times in found[TEN_MILLIONS].items()
        ),
    ]


if __name__ == "__main__":
    print(measure())
