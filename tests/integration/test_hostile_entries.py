"""Entries that a broken or hostile producer sends: each harms only itself, and no worker is held up."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import asyncpg
import orjson
import pytest
from redis.asyncio import Redis

from tests.fixtures.frames import frame, ndjson, span, started
from tests.fixtures.polling import GUARD_SECONDS
from tracequeue.frame import MAX_ENTRY_BYTES, MAX_EVENTS
from tracequeue.keys import dead_key, events_key
from tracequeue_worker.records import DAY, MOST_DAYS
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.report import WorkerReport
from tracequeue_worker.service import run
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sql import statement

Drained = Callable[..., Any]
LARGEST_STREAM = 20 * 1024 * 1024


@pytest.fixture
def drained(redis_url: str, prefix: str, migrated_database_url: str) -> Drained:
    """Runs a worker until nothing is left. The timeout only ends a test whose worker is held up."""

    async def drain(**changes: Any) -> WorkerReport:
        values = {"redis_url": redis_url, "database_url": migrated_database_url, "prefix": prefix, "min_idle_ms": 1000}
        async with asyncio.timeout(2 * GUARD_SECONDS):
            return await run(WorkerSettings.load(**(values | changes)), drain=True)

    return drain


async def letters(client: Redis, prefix: str) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in await client.xrange(dead_key(prefix, 0))]


async def names(database: asyncpg.Connection) -> list[str]:
    return [row["span_name"] for row in await database.fetch("SELECT span_name FROM pipeline_spans ORDER BY 1")]


async def test_an_entry_of_thousands_of_fields(
    drained: Drained, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    key = events_key(prefix, 0)
    await redis_client.xadd(key, frame(span(span_name="before")))
    await redis_client.xadd(key, {format(number, "x"): "" for number in range(10_000)})
    await redis_client.xadd(key, frame(span(span_name="after")))
    await drained()
    (letter,) = await letters(redis_client, prefix)
    assert letter[b"resendable"] == b"0"
    assert await names(database) == ["after", "before"]


async def test_ten_thousand_bad_lines_do_not_multiply_a_large_meta(
    drained: Drained, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    meta = orjson.dumps({"service": "s" * 60_000})
    await redis_client.xadd(events_key(prefix, 0), frame(*[b"{"] * MAX_EVENTS, meta=meta))
    report = await drained()
    assert report.dead_letters == MAX_EVENTS
    assert await redis_client.memory_usage(dead_key(prefix, 0), samples=0) < LARGEST_STREAM


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+00:00"]
)
async def test_an_emitter_that_started_at_the_end_of_the_calendar(
    drained: Drained, redis_client: Redis, prefix: str, database: asyncpg.Connection, moment: str
) -> None:
    meta = orjson.dumps({"service": "bot", "started_at": moment})
    await redis_client.xadd(events_key(prefix, 0), frame(span(span_name="kept"), meta=meta))
    await drained()
    assert await names(database) == ["kept"]


async def test_a_number_used_again_by_an_unreadable_frame_leaves_no_other_dead_letters(
    drained: Drained, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    fields = frame(*[b"{"] * 1000, src="a" * 32) | {b"enc": b"json", b"body": ndjson(*[b"{"] * 1000)}
    await redis_client.xadd(events_key(prefix, 0), fields)
    await drained()
    await redis_client.xadd(events_key(prefix, 0), fields | {b"acct": b"no account"})
    await drained()
    assert await redis_client.xlen(dead_key(prefix, 0)) == 1000


async def test_many_frames_of_nothing_but_bad_lines(drained: Drained, redis_client: Redis, prefix: str) -> None:
    for _ in range(30):
        await redis_client.xadd(events_key(prefix, 0), frame(*[b"{"] * 1000))
    report = await drained()
    assert report.dead_letters == 30_000


async def test_dead_letters_of_four_megabytes(drained: Drained, redis_client: Redis, prefix: str) -> None:
    for _ in range(12):
        await redis_client.xadd(events_key(prefix, 0), {"body": b"x" * (MAX_ENTRY_BYTES + 1)})
    report = await drained()
    assert report.dead_letters == 12


async def test_more_days_in_one_frame_than_a_transaction_can_write(
    drained: Drained, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    """Every day is a partition, and a server has room for the locks of some thousand relations."""
    first = 11_000 * DAY
    days = [span(start_time=first + day * DAY, end_time=first + day * DAY) for day in range(MOST_DAYS + 2)]
    await redis_client.xadd(events_key(prefix, 0), frame(*days))
    await redis_client.xadd(events_key(prefix, 0), frame(span(), started()))
    report = await drained()
    assert (report.rows, report.dead_letters) == (MOST_DAYS + 2, 2)
    assert {(letter[b"index"], letter[b"reason"]) for letter in await letters(redis_client, prefix)} == {
        (b"0", b"time_range"),
        (b"1", b"time_range"),
    }


async def test_what_an_emitter_says_may_be_anything(
    drained: Drained, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    odd: list[dict[str, Any]] = [{"pid": 2**80}, {"service": {"a": 1}}, {"host": "\0"}, {"started_at": 5}]
    for meta in odd:
        fields = frame(span(span_name="kept"), seq=2**62, meta=json.dumps(meta).encode())
        await redis_client.xadd(events_key(prefix, 0), fields)
    lost = {f"reason {number}": 2**63 - 1 for number in range(5000)}
    account = orjson.dumps({"emitted": 2**63 - 1, "lost": lost})
    await redis_client.xadd(events_key(prefix, 0), frame(span(span_name="kept"), acct=account))
    await drained()
    assert await names(database) == ["kept"] * (len(odd) + 1)


async def test_an_account_closes_though_the_last_frame_is_unreadable(
    drained: Drained, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    src, key = "c" * 32, events_key(prefix, 0)
    await redis_client.xadd(key, frame(span(), src=src, seq=1))
    last = frame(span(), span(), src=src, seq=2, acct=b'{"emitted":3,"lost":{}}', body=b"no zstd")
    await redis_client.xadd(key, last)
    await drained()
    (account,) = await database.fetch(statement("accounts"), None, "")
    assert (account["emitted"], account["persisted"], account["dead"]) == (3, 1, 2)


async def test_the_reasons_of_an_emitter_do_not_grow_for_ever(
    drained: Drained, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    for seq in range(1, 6):
        lost = {f"reason {number}": number for number in range(400 * seq, 400 * seq + 400)}
        fields = frame(span(), src="d" * 32, seq=seq, acct=orjson.dumps({"emitted": 9, "lost": lost}))
        await redis_client.xadd(events_key(prefix, 0), fields)
        await drained()
    (kept,) = await database.fetchrow("SELECT lost FROM pipeline_emitters")
    assert set(orjson.loads(kept)) == {f"reason {number}" for number in range(1400, 2400)}


async def test_an_account_closes_however_many_reasons_there_are(
    drained: Drained, redis_client: Redis, prefix: str, migrated_database_url: str
) -> None:
    for seq in range(1, 5):
        lost = {f"reason {number}": 2 for number in range(500 * seq)}
        acct = orjson.dumps({"emitted": 1000 * seq + seq, "lost": lost})
        await redis_client.xadd(events_key(prefix, 0), frame(span(), src="d" * 32, seq=seq, acct=acct))
        await drained()
    async with asyncpg.create_pool(migrated_database_url, min_size=0) as pool:
        (account,) = await TraceRepo(pool).get_accounts()
    assert (account.emitted, account.persisted, account.in_flight) == (4004, 4, 0)
    assert (len(account.lost), account.lost["other"]) == (1001, 2000)


async def test_the_same_number_in_two_partitions(
    drained: Drained, redis_client: Redis, prefix: str, database: asyncpg.Connection
) -> None:
    for partition in (0, 1):
        await redis_client.xadd(events_key(prefix, partition), frame(span(), src="b" * 32))
    assert (await drained(partitions=2)).rows == 2
