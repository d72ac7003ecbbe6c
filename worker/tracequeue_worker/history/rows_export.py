"""The rows of a database, into files, as they were at one moment; and behind them what its ledger says."""

from collections.abc import AsyncIterator, Iterator
from datetime import date, datetime, timedelta
from functools import partial
from time import time_ns
from typing import Any, Final

import asyncpg

from tracequeue_worker.bounds import EPOCH, Bounds
from tracequeue_worker.database import Connection, acquired
from tracequeue_worker.history.file_format import Header, asked
from tracequeue_worker.history.rotation import Rotation
from tracequeue_worker.history.row_records import SPAN, TRACE, row_line
from tracequeue_worker.records import DAY
from tracequeue_worker.sql import statement

AT_ONCE: Final = 200
"""Rows in memory: each may be megabytes."""
LEDGER: Final = {
    "frame": "pipeline_frames",
    "settled": "pipeline_settled",
    "conflict": "pipeline_conflicts",
    "emitter": "pipeline_emitters",
}
"""What a line of the ledger is called, and its table."""


class RowsExport:
    """Reads in one snapshot, whatever is written meanwhile. `days` counts the days that are done, of `all_days`."""

    def __init__(self, pool: asyncpg.Pool, bounds: Bounds, files: Rotation) -> None:
        self.days = 0
        self.all_days = 0
        self._pool = pool
        self._bounds = bounds
        self._files = files
        self._source = ""

    async def run(self) -> None:
        """Raises what asyncpg raises, and `Fatal`."""
        snapshot: dict[str, Any] = {"isolation": "repeatable_read", "readonly": True}
        async with acquired(self._pool) as connection, connection.transaction(**snapshot):
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await connection.execute(statement("export_lock"))
            self._source = f"database {await connection.fetchval('SELECT current_database()')}"
            await self._rows(connection)
            if not self._bounds:
                await self._ledger(connection)

    async def _rows(self, connection: Connection) -> None:
        days = [row["day"] for row in await connection.fetch(statement("partition_days"), None, None)]
        spans = list(_within(days, self._bounds))
        self.all_days = len(spans)
        header = partial(Header, tracequeue="rows", source=[self._source], **asked(self._bounds))
        for first, end in spans:
            for kind, query in ((SPAN, "export_spans"), (TRACE, "export_traces")):
                async for row in _fetched(connection, statement(query), first, end):
                    self._files.add(header, row_line(kind, dict(row)), events=1, at=row["start_time"])
            self.days += 1
        self._files.finish()

    async def _ledger(self, connection: Connection) -> None:
        header = partial(
            Header, tracequeue="ledger", source=[self._source], rows=[file.id for file in self._files.files]
        )
        now = time_ns() // 1000
        for name, table in LEDGER.items():
            async for row in _fetched(connection, statement("export_ledger").format(table=table)):
                line = b'{"%s":%s}\n' % (name.encode(), row[0].encode())
                self._files.add(header, line, events=0, at=now)
        self._files.finish()


async def _fetched(connection: Connection, query: str, *arguments: Any) -> AsyncIterator[asyncpg.Record]:
    """Rows as they come, never all at once."""
    async for row in connection.cursor(query, *arguments, prefetch=AT_ONCE):
        yield row


def _within(days: list[date], bounds: Bounds) -> Iterator[tuple[datetime, datetime]]:
    """Of each day as much as lies within the bounds."""
    for day in days:
        first = (day - EPOCH.date()).days * DAY
        end = first + DAY
        if bounds.since:
            first = max(first, bounds.since.microseconds)
        if bounds.until:
            end = min(end, bounds.until.microseconds)
        if first < end:
            yield EPOCH + timedelta(microseconds=first), EPOCH + timedelta(microseconds=end)
