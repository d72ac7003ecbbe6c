"""EXPLAIN guards of what alerts ask again and again: few days are looked at, and of a pipeline only what counts."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from tests.fixtures.plans import executed, of, rows_read
from tracequeue_worker.error_patterns import VARYING_IN_SQL
from tracequeue_worker.sql import statement

DAY = timedelta(days=1)
NEWEST = 100
"""Traces of a pipeline of which the last end is looked for."""


async def plan_of(connection: asyncpg.Connection, name: str, *arguments: Any) -> Any:
    text = f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {statement(name)}"
    return json.loads(await connection.fetchval(text, *arguments))[0]["Plan"]


async def test_the_share_of_failures_looks_at_no_day_that_is_over(filled: asyncpg.Connection) -> None:
    now = datetime.now(UTC)
    since = now - timedelta(minutes=15)
    plan = await plan_of(filled, "alert_failures", since - timedelta(hours=1), since, now, VARYING_IN_SQL)
    days = {scan["Relation Name"].rpartition("_")[2] for scan in executed(plan)}
    assert min(days) >= f"{now - DAY:%Y%m%d}"


async def test_staleness_reads_the_index_and_few_traces_of_each_pipeline(
    filled: asyncpg.Connection,
) -> None:
    names = ["pipeline 7", "pipeline 8", "never"]
    plan = await plan_of(filled, "alert_stale", names, datetime.now(UTC) - 30 * DAY, DAY, 5)
    assert rows_read(of(plan, "pipeline_traces_")) <= 3 * 2 * NEWEST
