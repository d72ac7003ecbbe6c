"""What a span costs with one, two and four workers on one backlog, in one partition of the stream and in four.

Real commands, without what they take who find nothing to do. Where there are two cores, one worker and its servers
nearly fill them: the speed cannot grow with the workers, but the processor time of a span says whether they stand in
each other's way.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from time import perf_counter

from redis import Redis

from benchmarks import databases
from benchmarks.replay import fill
from tracequeue.keys import events_key
from tracequeue_worker import migrate
from tracequeue_worker.embedded import Servers, servers
from tracequeue_worker.embedded.workers import environment_of
from tracequeue_worker.settings import WorkerSettings

SPANS, ROUNDS = 200_000, 3
CROWDS, PARTITIONS = (1, 2, 4), (1, 4)
COMMAND = (sys.executable, "-m", "tracequeue_worker", "worker", "--drain")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds: of all workers' processor time, of the Postgres backends', and of the clock."""

    workers: float
    server: float
    elapsed: float

    def less(self, other: "Cost") -> "Cost":
        return Cost(self.workers - other.workers, self.server - other.server, self.elapsed - other.elapsed)


def source(partitions: int, partition: int) -> str:
    """The prefix under which the frames of a partition wait to be copied: every run has the same ones."""
    return f"{partition}of{partitions}"


def refill(redis: Redis, partitions: int) -> None:
    """All frames wait again, for a group of workers that never was there."""
    for key in redis.keys(f"*{WorkerSettings().prefix}*"):
        redis.delete(key)
    for partition in range(partitions):
        redis.copy(events_key(source(partitions, partition), 0), events_key(WorkerSettings().prefix, partition))


def drained(place: Servers, workers: int, partitions: int) -> Cost:
    """Let so many workers drain what waits."""
    environment = environment_of(WorkerSettings(), place, TRACEQUEUE_PARTITIONS=str(partitions))
    server, started = asyncio.run(databases.server_seconds(place.database_url)), perf_counter()
    crowd = [start(environment, number) for number in range(workers)]
    usages = [os.wait4(worker.pid, 0)[2] for worker in crowd]
    elapsed = perf_counter() - started
    server = asyncio.run(databases.server_seconds(place.database_url)) - server
    return Cost(sum(usage.ru_utime + usage.ru_stime for usage in usages), server, elapsed)


def start(environment: dict[str, str], number: int) -> "subprocess.Popen[bytes]":
    own = environment | {"TRACEQUEUE_CONSUMER": f"worker-{number}"}
    return subprocess.Popen(COMMAND, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cost_of(place: Servers, redis: Redis, workers: int, partitions: int) -> Cost:
    """Into empty tables, and what a crowd takes that finds nothing taken off."""
    refill(redis, partitions)
    cost = drained(place, workers, partitions)
    idle = drained(place, workers, partitions)
    assert asyncio.run(databases.value(place.database_url, "SELECT count(*) FROM pipeline_spans")) == SPANS
    asyncio.run(databases.execute(place.database_url, f"TRUNCATE {databases.TABLES}"))
    return cost.less(idle)


def main() -> None:
    costs: defaultdict[tuple[int, int], list[Cost]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, servers(WorkerSettings.load(), Path(folder)) as place:
        asyncio.run(migrate.migrate(place.database_url))
        with Redis.from_url(place.redis_url) as redis:
            for partitions in PARTITIONS:
                for partition in range(partitions):
                    fill(redis, source(partitions, partition), SPANS // partitions)
            for _, partitions, workers in product(range(ROUNDS), PARTITIONS, CROWDS):
                costs[partitions, workers].append(cost_of(place, redis, workers, partitions))
    print(f"{SPANS:,} spans, {ROUNDS} rounds in turn, medians")
    print("| partitions | workers | spans/s | workers, us a span | Postgres, us a span |\n|---|---|---|---|---|")
    for (partitions, workers), found in costs.items():
        speed = SPANS / median(cost.elapsed for cost in found)
        own, server = (median(getattr(cost, name) for cost in found) / SPANS * 1e6 for name in ("workers", "server"))
        print(f"| {partitions} | {workers} | {speed:,.0f} | {own:.1f} | {server:.1f} |")


if __name__ == "__main__":
    main()
