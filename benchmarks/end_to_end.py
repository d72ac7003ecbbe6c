"""From a bot's step to its row, beside Phoenix and MLflow on the same spans: spans stored a second, all of it counted.

Ours: one process records them, one worker stores them. Theirs: requests of OTLP that are made beforehand. The same
Postgres with the same settings stores for all; each server comes in turn with us. Traces are of ten spans: of single
spans all three store fewer, MLflow a quarter.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import uuid4

import asyncpg

from benchmarks import peers
from benchmarks.budgets import Figure
from benchmarks.peers.processes import new_database
from benchmarks.peers.servers import MLFLOW, PHOENIX, Server, otlp, running
from benchmarks.workload import SPANS_OF_A_TRACE, Event, traces
from tracequeue import TraceContext, init_collector, traced_span
from tracequeue.collector import TraceCollector
from tracequeue_worker import migrate
from tracequeue_worker.embedded import Servers, servers
from tracequeue_worker.embedded.workers import environment_of, worker_processes
from tracequeue_worker.settings import WorkerSettings

SPANS, THEIR_SPANS, ROUNDS = 100_000, 2_048, 3
ROOM = 10_000
"""Spans that may wait in the bot: above it the bot waits, so that nothing is dropped."""


async def emit(spans: Sequence[Event], collector: TraceCollector) -> None:
    """The same steps again, with the same inputs and outputs."""
    results = iter([event["output_data"] for event in spans])

    @traced_span("agent:trainer", kind="agent")
    async def outer(text: str, user: str, tries: int) -> Event:
        for event in inner:
            await step(**event["input_data"])
        return next(results)

    @traced_span("agent:trainer", kind="agent")
    async def step(text: str, user: str, tries: int) -> Event:
        return next(results)

    for number in range(0, len(spans), SPANS_OF_A_TRACE):
        first, *inner = spans[number : number + SPANS_OF_A_TRACE]
        async with TraceContext("benchmark"):
            await outer(**first["input_data"])
        while collector.stats().buffered > ROOM:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def seconds_to_store(spans: Sequence[Event], collector: TraceCollector) -> float:
    """From the first span until all rows are committed; and they are."""
    started = perf_counter()
    await emit(spans, collector)
    assert await collector.persisted(60)
    return perf_counter() - started


async def measured(server: Server, made: Sequence[Event], place: Servers, folder: Path) -> Figure:
    """A worker of ours and a server of theirs stand by; they take turns. A first turn of each does not count."""
    collector = init_collector(redis_url=place.redis_url, prefix=uuid4().hex)
    environment = environment_of(WorkerSettings(prefix=collector.settings.prefix), place)
    requests = otlp(server, made[: THEIR_SPANS * (ROUNDS + 1)])
    each = len(requests) // (ROUNDS + 1)
    ours, theirs = [], []
    with (
        running(server, await new_database(place, server.family), folder / server.family) as peer,
        worker_processes([server.family], environment, Path(os.devnull)),
    ):
        for number in range(ROUNDS + 1):
            ours.append(SPANS / await seconds_to_store(made, collector))
            some = requests[number * each : (number + 1) * each]
            theirs.append(THEIR_SPANS / await peer.seconds_to_store(some, THEIR_SPANS))
        await collector.stop()
    return figure(server, ours[1:], theirs[1:])


def figure(server: Server, ours: Sequence[float], theirs: Sequence[float]) -> Figure:
    detail = f"{median(ours):,.0f} spans/s against {median(theirs):,.0f} of {server.known_as}"
    print(detail, flush=True)
    return Figure("end_to_end", [mine / other for mine, other in zip(ours, theirs, strict=True)], detail)


async def rows(place: Servers) -> int:
    connection = await asyncpg.connect(place.database_url)
    count = await connection.fetchval("SELECT count(*) FROM pipeline_spans")
    await connection.close()
    return int(count)


def measure() -> list[Figure]:
    there = [server for server in (PHOENIX, MLFLOW) if peers.there(server.family)]
    made = traces(SPANS)
    with tempfile.TemporaryDirectory() as folder, servers(WorkerSettings.load(), Path(folder)) as place:
        asyncio.run(migrate.migrate(place.database_url))
        figures = [asyncio.run(measured(server, made, place, Path(folder))) for server in there]
        assert asyncio.run(rows(place)) == SPANS * (ROUNDS + 1) * len(there)
    return figures


if __name__ == "__main__":
    print(measure())
