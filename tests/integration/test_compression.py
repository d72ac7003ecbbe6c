"""Payloads are stored compressed with lz4 where the server has it, and as the server does it where it has not."""

import asyncpg
import pytest

from tests.fixtures.decoded import decoded, ended_row, span_row
from tracequeue_worker.sinks.postgres import PostgresSink

PAYLOAD = f'{{"text": "{"what shall I do tomorrow? " * 200}"}}'


@pytest.fixture
async def best(database: asyncpg.Connection) -> str:
    """Of what this server can, the one that is wanted."""
    known = await database.fetchval("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
    return "lz4" if "lz4" in known else "pglz"


@pytest.mark.parametrize("column", ["input_data", "output_data", "attributes"])
async def test_payloads_of_spans_batch_after_batch(
    sink: PostgresSink, database: asyncpg.Connection, best: str, column: str
) -> None:
    for _ in range(3):
        await sink.write([decoded(span_row(**{column: PAYLOAD}))])
    rows = await database.fetch(f"SELECT pg_column_compression({column}) AS found FROM pipeline_spans")
    assert [row["found"] for row in rows] == [best] * 3


async def test_metadata_of_traces(sink: PostgresSink, database: asyncpg.Connection, best: str) -> None:
    await sink.write([decoded(ended_row(metadata=PAYLOAD))])
    assert await database.fetchval("SELECT pg_column_compression(metadata) FROM pipeline_traces") == best
