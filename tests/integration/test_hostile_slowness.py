"""A store that is only slow gets smaller pieces; the same piece is not tried for ever."""

import asyncio

import asyncpg
from redis.asyncio import Redis

from tests.fixtures.frames import frame, span
from tests.fixtures.polling import GUARD_SECONDS
from tracequeue.keys import events_key
from tracequeue_worker.service import run
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sinks.postgres import PostgresSink

SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON pipeline_spans FOR EACH ROW EXECUTE FUNCTION slow();
"""


async def test_a_batch_too_large_for_the_deadline_of_a_slow_store_is_written_in_pieces(
    redis_url: str, redis_client: Redis, prefix: str, migrated_database_url: str, database: asyncpg.Connection
) -> None:
    await database.execute(SLOW)
    for _ in range(16):
        await redis_client.xadd(events_key(prefix, 0), frame(span()))
    settings = WorkerSettings.load(
        redis_url=redis_url, database_url=migrated_database_url, prefix=prefix, min_idle_ms=60_000
    )
    async with asyncio.timeout(2 * GUARD_SECONDS):
        report = await run(settings, drain=True, sink=PostgresSink(settings, deadline=1.2))
    assert (report.frames, report.rows) == (16, 16)
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 16
