"""Statements that name every column of a table: a new column belongs into each of them."""

import re

import asyncpg
import pytest

from tracequeue_worker.sql import statement

STATEMENTS = {
    "pipeline_spans": ["trace_spans", "spans_insert", "digest_spans", "export_spans", "replay_compared_spans"],
    "pipeline_traces": ["traces_merge", "digest_traces", "export_traces", "replay_compared_ends"],
    "pipeline_emitters": ["emitters_merge", "emitters_seen", "emitters_copied"],
}


@pytest.mark.parametrize("table", STATEMENTS)
async def test_no_column_is_left_out(database: asyncpg.Connection, table: str) -> None:
    rows = await database.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1", table
    )
    columns = {row["column_name"] for row in rows} - {"created_at"}
    for name in STATEMENTS[table]:
        code = re.sub(r"--.*", "", statement(name))
        assert columns <= set(re.findall(r"\w+", code)), name
