"""The largest that a worker becomes while it drains a million spans: the real command."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import psutil
from redis import Redis

from benchmarks.budgets import Figure
from benchmarks.drain import fill
from tracequeue_worker import migrate
from tracequeue_worker.embedded import Servers, servers
from tracequeue_worker.embedded.workers import environment_of
from tracequeue_worker.settings import WorkerSettings

SPANS = 1_000_000
LOOK_SECONDS = 0.05


def largest(running: Servers) -> float:
    """In MB."""
    environment = environment_of(WorkerSettings(), running)
    started = perf_counter()
    command = [sys.executable, "-m", "tracequeue_worker", "worker", "--drain"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
        process, peak = psutil.Process(worker.pid), 0
        while worker.poll() is None:
            try:
                peak = max(peak, process.memory_info().rss)
                worker.wait(LOOK_SECONDS)
            except (subprocess.TimeoutExpired, psutil.NoSuchProcess):
                continue
    assert worker.returncode == 0
    print(f"{SPANS:,} spans in {perf_counter() - started:.0f} s")
    return peak / 1e6


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, servers(WorkerSettings.load(), Path(folder)) as running:
        asyncio.run(migrate.migrate(running.database_url))
        with Redis.from_url(running.redis_url) as redis:
            fill(redis, WorkerSettings().prefix, SPANS)
        return [Figure("memory", [largest(running)], f"{SPANS:,} spans in frames of 256")]


if __name__ == "__main__":
    print(measure())
