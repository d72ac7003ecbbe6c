"""A database with a history, and a repository that keeps the plans of what it asks."""

import asyncpg
import pytest

from tests.fixtures.plans import Explaining
from tracequeue_worker.repo import TraceRepo

DAYS = 20
FILL = """
INSERT INTO pipeline_traces (trace_id, start_time, pipeline_name, telegram_id, end_time, status, success, span_count)
SELECT gen_random_uuid(), current_date + 1 - n * interval '1 day' / 500, 'pipeline ' || n % 50, n % 1000,
    current_date + 1 - n * interval '1 day' / 500 + interval '1 second', 'ok', true, 0
FROM generate_series(1, 9500) AS n;
INSERT INTO pipeline_spans (trace_id, span_id, start_time, span_name, end_time, duration_ms, status, success)
SELECT trace_id, '00000000000000' || n, start_time, 'span ' || row_number() OVER () % 200, end_time, 1, 'ok', true
FROM pipeline_traces, generate_series(10, 12) AS n;
ANALYZE;
"""


@pytest.fixture
async def filled(database: asyncpg.Connection) -> asyncpg.Connection:
    """Twenty days with some hundred traces each, today too at any hour: a day with a handful of rows is read whole."""
    for day in range(DAYS):
        await database.execute("SELECT pipeline_ensure_partition(current_date - $1::int)", day)
    await database.execute(FILL)
    return database


@pytest.fixture
def explaining(filled: asyncpg.Connection) -> Explaining:
    return Explaining(filled)


@pytest.fixture
def repo(explaining: Explaining) -> TraceRepo:
    return TraceRepo(explaining)  # type: ignore[arg-type]
