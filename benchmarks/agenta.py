"""Our worker on a full stream beside Agenta's, which has the same shape: a Redis Stream, a group, Postgres.

Agenta is no package of a registry: `make bench-peers AGENTA=DIR` takes it from a checkout (github.com/Agenta-AI/agenta;
the pins are for its commit 753af38). Its own code makes the tables, fills the stream and works, with its defaults.
"""

import asyncio
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from pydantic import SecretStr
from redis import Redis

from benchmarks import peers
from benchmarks.budgets import Figure
from benchmarks.drain import fill
from benchmarks.peers.agenta import Agenta
from benchmarks.workload import traces
from tracequeue_worker import migrate, service
from tracequeue_worker.embedded import Servers, servers
from tracequeue_worker.settings import WorkerSettings

SPANS, THEIR_SPANS, ROUNDS = 100_000, 2_000, 3


def drained(place: Servers, prefix: str) -> float:
    """Spans a second, starting and stopping included."""
    with Redis.from_url(place.redis_url) as redis:
        fill(redis, prefix, SPANS)
    settings = WorkerSettings(
        prefix=prefix, redis_url=SecretStr(place.redis_url), database_url=SecretStr(place.database_url)
    )
    started = perf_counter()
    report = asyncio.run(service.run(settings, drain=True))
    assert report.rows == SPANS
    return SPANS / (perf_counter() - started)


def measured(place: Servers, folder: Path) -> Figure:
    theirs = Agenta(place, folder)
    theirs.migrate()
    ours, others = [], []
    for number in range(ROUNDS):
        ours.append(drained(place, f"agenta{number}"))
        others.append(theirs.drained(traces(THEIR_SPANS)))
    ratios = [mine / other for mine, other in zip(ours, others, strict=True)]
    (version,) = peers.versions("agenta").values()
    detail = f"{median(ours):,.0f} spans/s against {median(others):,.0f} of Agenta {version}"
    print(detail)
    return Figure("agenta", ratios, detail)


def measure() -> list[Figure]:
    if not peers.there("agenta"):
        return []
    with tempfile.TemporaryDirectory() as folder, servers(WorkerSettings.load(), Path(folder)) as place:
        asyncio.run(migrate.migrate(place.database_url))
        return [measured(place, Path(folder))]


if __name__ == "__main__":
    print(measure())
