"""A replay of the live stream: what comes out is what the workers stored, once, and no group notices."""

from collections.abc import Iterator

import asyncpg
import pytest

from tests.fixtures.oracle import Site
from tests.fixtures.postgres import database
from tests.fixtures.replays import replay

DIGESTS = """
SELECT count(*), coalesce(sum(hash_record_extended(kept, 0)), 0)
FROM (SELECT {columns} FROM {table}) AS kept
"""
COLUMNS = {
    "pipeline_spans": "trace_id, span_id, start_time, parent_span_id, span_name, kind, end_time, duration_ms, status, "
    "success, error, input_data, output_data, attributes, truncated",
    "pipeline_traces": "trace_id, start_time, pipeline_name, telegram_id, user_id, session_id, end_time, duration_ms, "
    "status, success, error, span_count, dropped, metadata, tags, parent, service, environment, release, emitter_id",
    "pipeline_frames": "emitter_id, partition, seq, digest, stream, entry_id, events, dead",
    "pipeline_emitters": "emitter_id, service, environment, release, host, pid, started_at, emitted, spooled, dropped",
}


async def digests(url: str) -> dict[str, tuple[int, int]]:
    """Of each table how many rows and what is in them, but for when they came."""
    connection = await asyncpg.connect(url)
    try:
        return {
            table: tuple(await connection.fetchrow(DIGESTS.format(table=table, columns=columns)))
            for table, columns in COLUMNS.items()
        }
    finally:
        await connection.close()


@pytest.fixture
def target_url(postgres_url: str, templates: dict[str, str]) -> Iterator[str]:
    """Another database with all migrations applied."""
    with database(postgres_url, templates[postgres_url]) as url:
        yield url


async def test_an_empty_database_gets_what_the_workers_stored(site: Site, target_url: str) -> None:
    bot = site.bot()
    bot.burst(50)
    await bot.stop()
    await site.drain()
    report = await replay(site, target_url)
    assert report.complete
    assert report.finished
    assert not report.resumed
    assert (report.events, report.written, report.present) == (250, 250, 0)
    assert sum(day.source_rows for day in report.days) == 250
    assert await digests(target_url) == await digests(site.database_url)
