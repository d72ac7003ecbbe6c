"""What a span takes: bytes of table, indexes and TOAST, and of the log written ahead (WAL); and what compression costs.

For spans of a kilobyte and of ten, ten a trace, as one worker stores them. On the server of TRACEQUEUE_DATABASE_URL, in
a database of its own there, or on the embedded one, which was built without lz4.
"""

import asyncio
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import uuid4

import asyncpg
import orjson
from pydantic import SecretStr
from redis import Redis

from benchmarks import databases
from benchmarks.replay import SPANS_OF_A_TRACE, trace
from benchmarks.workload import passage
from tracequeue.frame import pack
from tracequeue.keys import events_key
from tracequeue_worker import service
from tracequeue_worker.embedded import Servers, servers
from tracequeue_worker.settings import WorkerSettings

DATABASE, ROUNDS = "bench_storage", 5
WRITTEN = "SELECT (pg_current_wal_lsn() - '0/0')::float8"
COMPRESSIONS = "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"
SIZES = """
SELECT
    coalesce(inhparent::regclass::text, relname) AS name,
    sum(pg_relation_size(pg_class.oid))::float8 AS heap,
    sum(pg_indexes_size(pg_class.oid))::float8 AS indexes,
    sum(pg_table_size(pg_class.oid) - pg_relation_size(pg_class.oid))::float8 AS toast
FROM pg_class
LEFT JOIN pg_inherits ON inhrelid = pg_class.oid
WHERE relkind = 'r' AND relname ~ '^pipeline_(spans|traces|frames)'
GROUP BY 1
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Size:
    """Of spans: words of input and output, how many are stored, and how many go into a frame."""

    words: tuple[int, int]
    spans: int
    framed: int


SMALL, LARGE = Size((35, 65), 100_000, 256), Size((500, 1000), 10_000, 24)


def fill(redis: Redis, prefix: str, size: Size) -> float:
    """Frames of traces with spans of this size. Returns the bytes of an event's line."""
    emitter, lines, total = uuid4().hex, events(size), 0
    for seq, some in enumerate(iter(lambda: list(islice(lines, size.framed)), []), start=1):
        body = b"\n".join(some)
        fields = pack(body, len(some), emitter_id=emitter, seq=seq, account=b"{}", meta=b"{}")
        redis.xadd(events_key(prefix, 0), fields)  # type: ignore[arg-type]
        total += len(body)
    return total / size.spans


def events(size: Size) -> Iterator[bytes]:
    chance = random.Random(1)
    for _ in range(0, size.spans, SPANS_OF_A_TRACE):
        for event in map(orjson.loads, trace(chance)):
            if event["type"] == "span":
                event["input_data"]["text"] = passage(chance, size.words[0])
                event["output_data"]["plan"] = passage(chance, size.words[1])
            yield orjson.dumps(event)


async def print_stored(connection: asyncpg.Connection, size: Size, written: float) -> None:
    """By table; indexes of the partitions to come are among them, which are next to nothing."""
    total = 0.0
    print("| bytes a span | table | indexes | TOAST |\n|---|---|---|---|")
    for name, *parts in await connection.fetch(SIZES):
        print(f"| {name} | " + " | ".join(f"{part / size.spans:,.0f}" for part in parts) + " |")
        total += sum(parts)
    print(f"in all {total / size.spans:,.0f}, and {written / size.spans:,.0f} written ahead")


async def print_compressions(connection: asyncpg.Connection) -> None:
    """Plain COPY of the stored spans into the emptied table, with one compression after the other."""
    rows = await connection.fetch("SELECT * FROM pipeline_spans ORDER BY trace_id, span_id")
    names: Sequence[str] = await connection.fetchval(COMPRESSIONS)
    speeds: dict[str, list[float]] = {name: [] for name in names}
    bytes_of: dict[str, float] = {}
    for name in list(names) * ROUNDS:
        await connection.execute(f"TRUNCATE pipeline_spans; SET default_toast_compression = {name}; CHECKPOINT")
        started = perf_counter()
        await connection.copy_records_to_table("pipeline_spans", records=rows, columns=list(rows[0].keys()))
        speeds[name].append(len(rows) / (perf_counter() - started))
        found = {table: parts for table, *parts in await connection.fetch(SIZES)}
        bytes_of[name] = sum(found["pipeline_spans"]) / len(rows)
    for name, found_speeds in speeds.items():
        print(f"COPY with {name}: {median(found_speeds):,.0f} rows/s, {bytes_of[name]:,.0f} bytes a span in all")


async def measured(place: Servers, size: Size, prefix: str) -> None:
    url = await databases.make(place.database_url, DATABASE)
    with Redis.from_url(place.redis_url) as redis:
        print(f"\n{size.spans:,} spans of {fill(redis, prefix, size):,.0f} bytes of JSON")
    settings = WorkerSettings(prefix=prefix, redis_url=SecretStr(place.redis_url), database_url=SecretStr(url))
    connection = await asyncpg.connect(url)
    before = await connection.fetchval(WRITTEN)
    await service.run(settings, drain=True)
    await print_stored(connection, size, await connection.fetchval(WRITTEN) - before)
    await print_compressions(connection)
    await connection.close()
    await databases.execute(place.database_url, f"DROP DATABASE {DATABASE}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, servers(WorkerSettings.load(), Path(folder)) as place:
        for name, size in (("small", SMALL), ("large", LARGE)):
            asyncio.run(measured(place, size, name))


if __name__ == "__main__":
    main()
