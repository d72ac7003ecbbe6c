"""Digests of a whole database, by day and table: two databases that hold the same have the same."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

import asyncpg

from tracequeue_worker.read_models import Row
from tracequeue_worker.sql import statement

TABLES: tuple[Literal["traces"], Literal["spans"]] = ("traces", "spans")


class Digest(Row):
    """Of the rows of a table that start on a UTC day: the sum of the hashes of all columns but `created_at`.

    The order of the rows and the spelling of their JSON do not matter. PostgreSQL 15 and 18 agree on it.
    """

    day: date
    table: Literal["spans", "traces"]
    rows: int
    digest: str


async def digests(pool: asyncpg.Pool, since: date | None = None, until: date | None = None) -> AsyncIterator[Digest]:
    """From a day on and before another, one after the other; those without rows are left out."""
    for record in await pool.fetch(statement("partition_days"), since, until):
        begin = datetime.combine(record["day"], time(), UTC)
        for table in TABLES:
            found = await pool.fetchrow(statement(f"digest_{table}"), begin, begin + timedelta(days=1))
            if found and found["rows"]:
                yield Digest(day=record["day"], table=table, **found)
