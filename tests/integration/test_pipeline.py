"""The whole way into Postgres, with workers in processes of their own that are killed at the worst moments."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from tests.fixtures.frames import frame, ndjson, span, started
from tests.fixtures.polling import eventually
from tracequeue.keys import dead_key, events_key
from tracequeue_worker.service import run
from tracequeue_worker.settings import WorkerSettings

WORKER = Path(__file__).with_name("killed_worker.py")
Settings = Callable[..., WorkerSettings]


@pytest.fixture
def settings(redis_url: str, prefix: str, migrated_database_url: str) -> Settings:
    def make(**changes: Any) -> WorkerSettings:
        values = {"redis_url": redis_url, "database_url": migrated_database_url, "prefix": prefix, "min_idle_ms": 1000}
        return WorkerSettings.load(**(values | changes))

    return make


@pytest.fixture
async def database(migrated_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated_database_url)
    yield connection
    await connection.close()


@asynccontextmanager
async def worker_process(settings: WorkerSettings, moment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker that says a line and stands still at a moment: `read`, `committed` or `settled`; or goes on: `none`."""
    environment = os.environ | {
        "TRACEQUEUE_REDIS_URL": settings.redis_url.get_secret_value(),
        "TRACEQUEUE_DATABASE_URL": settings.database_url.get_secret_value(),
        "TRACEQUEUE_PREFIX": settings.prefix,
        "TRACEQUEUE_MIN_IDLE_MS": str(settings.min_idle_ms),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WORKER), moment, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def span_names(database: asyncpg.Connection) -> list[str]:
    return [row["span_name"] for row in await database.fetch("SELECT span_name FROM pipeline_spans ORDER BY 1")]


@pytest.mark.parametrize("moment", ["read", "committed", "settled"])
async def test_a_killed_workers_frames_are_stored_once(
    settings: Settings, redis_client: Redis, prefix: str, database: asyncpg.Connection, moment: str
) -> None:
    names = [f"s{number:02}" for number in range(20)]
    for seq, name in enumerate(names, start=1):
        await redis_client.xadd(events_key(prefix, 0), frame(span(span_name=name), b"{", src="b" * 32, seq=seq))

    async with worker_process(settings(), moment) as process:
        assert process.stdout is not None
        assert (await process.stdout.readline()).strip() == moment.encode()
        process.kill()
        await process.wait()
    await run(settings(), drain=True)

    assert await span_names(database) == names
    assert await redis_client.xlen(dead_key(prefix, 0)) == len(names)
    summary = await redis_client.xpending(events_key(prefix, 0), "persist")
    assert summary["pending"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_worker_clean(
    settings: Settings, redis_client: Redis, prefix: str, database: asyncpg.Connection, number: signal.Signals
) -> None:
    async with worker_process(settings(), "none") as process:
        for seq in range(1, 51):
            await redis_client.xadd(events_key(prefix, 0), frame(span(), src="c" * 32, seq=seq))
        await eventually(lambda: span_names(database))
        process.send_signal(number)
        assert await process.wait() == 0
    assert (await redis_client.xpending(events_key(prefix, 0), "persist"))["pending"] == 0
    assert await redis_client.xinfo_consumers(events_key(prefix, 0), "persist") == []


async def test_a_frame_made_by_hand(
    settings: Settings, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    await redis_client.xadd(events_key(prefix, 0), {"body": ndjson(span(span_name="by hand"))})
    report = await run(settings(), drain=True)
    assert await span_names(database) == ["by hand"]
    assert (report.events, report.rows, report.dead_letters) == (1, 1, 0)


async def test_bad_records_become_dead_letters_and_their_neighbours_rows(
    settings: Settings, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    key = events_key(prefix, 0)
    await redis_client.xadd(key, frame(span(span_name="a"), {"type": "spam"}, span(start_time=0), span(span_name="b")))
    await redis_client.xadd(key, {"body": "", "v": "2"})
    await redis_client.xadd(key, frame(started(), span(span_name="c", input_data="nul \0")))

    report = await run(settings(), drain=True)

    assert await span_names(database) == ["a", "b", "c"]
    letters = [fields for _, fields in await redis_client.xrange(dead_key(prefix, 0))]
    assert sorted(letter[b"reason"] for letter in letters) == [b"schema", b"time_range", b"unknown_version"]
    assert (report.frames, report.rows, report.dead_letters) == (3, 4, 3)


async def test_the_same_number_for_another_frame_is_a_conflict(
    settings: Settings, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    for name in ("first", "second"):
        await redis_client.xadd(events_key(prefix, 0), frame(span(span_name=name), src="d" * 32, seq=1))
        report = await run(settings(), drain=True)
    assert await span_names(database) == ["first"]
    assert (report.conflicts, report.dead_letters) == (1, 1)
    ((_, letter),) = await redis_client.xrange(dead_key(prefix, 0))
    assert letter[b"reason"] == b"seq_conflict"


async def test_four_workers_share_a_backlog(
    settings: Settings, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    names = [f"s{number:04}" for number in range(400)]
    for seq, name in enumerate(names, start=1):
        await redis_client.xadd(events_key(prefix, 0), frame(span(span_name=name), src="e" * 32, seq=seq))
    reports = await asyncio.gather(
        *(run(settings(consumer=f"w{number}", batch_rows=10), drain=True) for number in range(4))
    )
    assert await span_names(database) == names
    assert sum(report.frames for report in reports) == len(names)


async def test_a_dead_letter_stream_that_cannot_be_written_holds_only_its_records(
    settings: Settings, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    key = events_key(prefix, 0)
    async with worker_process(settings(), "none"):
        await eventually(lambda: redis_client.exists(key))
        await redis_client.set(dead_key(prefix, 0), "in the way")
        bad = await redis_client.xadd(key, frame(span(span_name="a"), b"{", src="f" * 32, seq=1))
        await redis_client.xadd(key, frame(span(span_name="b"), src="f" * 32, seq=2))

        async def only_the_bad_one_is_pending() -> bool:
            page = await redis_client.xpending_range(key, "persist", "-", "+", 10)
            return await span_names(database) == ["a", "b"] and [item["message_id"] for item in page] == [bad]

        await eventually(only_the_bad_one_is_pending)
        await redis_client.delete(dead_key(prefix, 0))
        await eventually(lambda: redis_client.xlen(dead_key(prefix, 0)))
    assert await redis_client.xlen(dead_key(prefix, 0)) == 1
    assert (await redis_client.xpending(key, "persist"))["pending"] == 0
