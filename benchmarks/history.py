"""A database that was in use for days: varied rows as the worker stored them, many times under fresh ids and times."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg

from benchmarks.databases import TABLES, execute
from benchmarks.drain import FRAME
from benchmarks.replay import SPANS_OF_A_TRACE
from tracequeue_worker import sql

VARIED, DAYS, SLICE = 50_000, 10, 5_000
"""Spans that are multiplied, days that are filled evenly (today as far as it has come), traces at once."""
CONNECTIONS = 2

KEEP = f"""
CREATE TABLE varied_spans AS SELECT * FROM pipeline_spans;
CREATE TABLE varied_traces AS SELECT row_number() OVER (ORDER BY trace_id) - 1 AS number, * FROM pipeline_traces;
CREATE INDEX ON varied_spans (trace_id);
ANALYZE varied_spans, varied_traces;
TRUNCATE {TABLES};
"""
FRESH = """
CREATE TEMPORARY TABLE fresh ON COMMIT DROP AS
SELECT *, uuidv7(start - clock_timestamp()) AS fresh_id, start - start_time AS later
FROM (
    SELECT *, $1::timestamptz + number * $2::interval AS start FROM varied_traces WHERE number < $3
) AS moved
"""
TRACES = """
INSERT INTO pipeline_traces (
    trace_id, start_time, pipeline_name, telegram_id, end_time, duration_ms, status, success, span_count, created_at
)
SELECT
    fresh_id, start, 'pipeline ' || number % 10, number % 1000, end_time + later, duration_ms,
    CASE WHEN number % 50 = 7 THEN 'error' ELSE 'ok' END, number % 50 <> 7, span_count, start
FROM fresh ORDER BY fresh_id
"""
SPANS = """
INSERT INTO pipeline_spans (
    trace_id, span_id, start_time, span_name, kind, end_time, duration_ms, status, success, input_data, output_data,
    created_at
)
SELECT
    fresh_id, span_id, span.start_time + later, 'step ' || right(span_id, 1), kind, span.end_time + later,
    span.duration_ms, span.status, span.success, input_data, output_data, start
FROM fresh JOIN varied_spans AS span USING (trace_id)
ORDER BY fresh_id, span_id
"""
FRAMES = """
INSERT INTO pipeline_frames (emitter_id, partition, seq, digest, stream, entry_id, events, committed_at)
SELECT
    md5($1::text)::uuid, 0, number, decode(md5(number::text), 'hex'), 'tracequeue:events:0', '1770000000000-' || number,
    $2, $1::text::timestamptz
FROM generate_series(1, $3::bigint) AS number
"""


async def keep_varied(url: str) -> None:
    """Take what is stored out of the tables: it is what `fill_days` multiplies."""
    await execute(url, KEEP)


async def fill_days(url: str, spans: int) -> None:
    """Fill the days up to now evenly, each in the order of time as bots would have."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=number) for number in range(DAYS)]
    traces = spans // SPANS_OF_A_TRACE // DAYS
    await asyncio.gather(*(_fill(url, days[number::CONNECTIONS], traces) for number in range(CONNECTIONS)))
    for statement in ("DROP TABLE varied_spans, varied_traces", f"VACUUM (ANALYZE) {TABLES}", "CHECKPOINT"):
        await execute(url, statement)


async def _fill(url: str, days: list[datetime], traces: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("SET work_mem = '256MB'")
    for day in days:
        await connection.execute(sql.statement("ensure_partition"), day.date())
        gap = min(timedelta(days=1), datetime.now(UTC) - day) / traces
        for number in range(0, traces, SLICE):
            await _slice(connection, day + number * gap, gap, min(SLICE, traces - number))
    await connection.close()


async def _slice(connection: asyncpg.Connection, start: datetime, gap: timedelta, traces: int) -> None:
    async with connection.transaction():
        await connection.execute(FRESH, start, gap, traces)
        await connection.execute(TRACES)
        await connection.execute(SPANS)
        await connection.execute(FRAMES, str(start), FRAME, traces * (SPANS_OF_A_TRACE + 2) // FRAME)
