"""How fast one worker drains a full stream, beside a plain COPY of the same rows into the same tables.

Embedded servers in a temporary folder, in turn: drain, COPY, drain, COPY. Spans per second, and worker CPU per span.
"""

import asyncio
import random
import resource
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import uuid4

import asyncpg
import orjson
from pydantic import SecretStr
from redis import Redis

from benchmarks.budgets import Figure
from benchmarks.workload import span
from tracequeue.frame import pack
from tracequeue.ids import new_trace_id
from tracequeue.keys import events_key
from tracequeue_worker import migrate, service
from tracequeue_worker.embedded import servers
from tracequeue_worker.settings import WorkerSettings

SPANS, FRAME, ROUNDS = 100_000, 256, 3


def fill(redis: Redis, prefix: str, spans: int = SPANS) -> None:
    """Frames as a bot would send them, ten spans a trace."""
    chance, emitter = random.Random(1), uuid4().hex
    trace_id, lines, seq = "", [], 0
    for number in range(spans):
        if number % 10 == 0:
            trace_id = str(new_trace_id())
        lines.append(orjson.dumps(span(chance, trace_id)))
        if len(lines) == FRAME or number == spans - 1:
            seq += 1
            account = orjson.dumps({"emitted": number + 1})
            fields = pack(b"\n".join(lines), len(lines), emitter_id=emitter, seq=seq, account=account, meta=b"{}")
            redis.xadd(events_key(prefix, 0), fields)  # type: ignore[arg-type]
            lines = []


async def copy_again(url: str) -> float:
    """The physical limit: the rows that the worker stored, copied as they are into the same emptied table."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT * FROM pipeline_spans")
    await connection.execute("TRUNCATE pipeline_spans")
    started = perf_counter()
    await connection.copy_records_to_table("pipeline_spans", records=rows, columns=list(rows[0].keys()))
    elapsed = perf_counter() - started
    await connection.execute("TRUNCATE pipeline_spans, pipeline_traces, pipeline_frames, pipeline_emitters")
    await connection.close()
    return elapsed


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure() -> list[Figure]:
    drains, copies, costs = [], [], []
    with tempfile.TemporaryDirectory() as folder, servers(WorkerSettings.load(), Path(folder)) as running:
        asyncio.run(migrate.migrate(running.database_url))
        for number in range(ROUNDS):
            prefix = f"drain{number}"
            with Redis.from_url(running.redis_url) as redis:
                fill(redis, prefix)
            settings = WorkerSettings(
                prefix=prefix,
                redis_url=SecretStr(running.redis_url),
                database_url=SecretStr(running.database_url),
            )
            before, started = cpu_seconds(), perf_counter()
            report = asyncio.run(service.run(settings, drain=True))
            drains.append(SPANS / (perf_counter() - started))
            costs.append((cpu_seconds() - before) / SPANS * 1e6)
            assert report.rows == SPANS
            copies.append(SPANS / asyncio.run(copy_again(running.database_url)))
    ratios = [drain / copy for drain, copy in zip(drains, copies, strict=True)]
    print(f"one worker, {SPANS} spans in frames of {FRAME}, {ROUNDS} rounds in turn with plain COPY")
    return [
        Figure("drain", ratios, f"{median(drains):,.0f} spans/s against {median(copies):,.0f} rows/s"),
        Figure("worker", costs, "drain of a full stream"),
    ]


if __name__ == "__main__":
    measure()
