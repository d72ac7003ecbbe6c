"""Rows into the staging tables, and from there into the tables."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime

import asyncpg

from tracequeue_worker.classify import classify, message_of
from tracequeue_worker.database import Connection
from tracequeue_worker.errors import Poison
from tracequeue_worker.records import SpanRow, TraceRow
from tracequeue_worker.sinks.batch import StagedRow
from tracequeue_worker.sql import statement

SPAN_COLUMNS = ("frame", *SpanRow._fields)
TRACE_COLUMNS = ("frame", *TraceRow._fields, "service", "environment", "release", "emitter_id")

LEAVE_IT = "ON CONFLICT (trace_id, span_id, start_time) DO NOTHING"

_COPY_LINE = re.compile(r"^COPY \w+\D+(\d+)", re.MULTILINE)


async def stage(connection: Connection, spans: Sequence[StagedRow], traces: Sequence[StagedRow]) -> None:
    """Send rows to the server; nothing is locked yet. Raises `Poison` with the line of a row that is refused."""
    await connection.execute(statement("staging"))
    await _copy(connection, "staged_spans", SPAN_COLUMNS, spans)
    await _copy(connection, "staged_traces", TRACE_COLUMNS, traces)


async def withdraw(connection: Connection, frames: Sequence[int]) -> None:
    """Take the staged rows of some frames back."""
    await connection.execute(statement("spans_withdraw"), frames)
    await connection.execute(statement("traces_withdraw"), frames)


async def insert_spans(connection: Connection, *, all_new: bool = False) -> int:
    """Move the staged spans into their table. Returns how many; the others were there already.

    If `all_new`, it is first tried as if none were there: to look for each before it is written costs a third more.
    """
    query = statement("spans_insert")
    if all_new:
        with suppress(asyncpg.UniqueViolationError):
            return await _affected(connection, f"SAVEPOINT spans; {query.format(already_there='')}")
        await connection.execute("ROLLBACK TO SAVEPOINT spans")
    return await _affected(connection, query.format(already_there=LEAVE_IT))


async def merge_traces(connection: Connection, traces: int) -> None:
    """Merge the staged rows of so many different traces into their table."""
    if await _affected(connection, statement("traces_merge")) < traces:
        await connection.execute(statement("traces_fill"), *await _times(connection, "staged_traces"))


async def _affected(connection: Connection, query: str) -> int:
    """How many rows the last command of a query wrote."""
    return int((await connection.execute(query)).rpartition(" ")[2])


async def conflicting_spans(connection: Connection) -> int:
    """How many staged spans differ from what is stored under their key."""
    times = await _times(connection, "staged_spans")
    return int(await connection.fetchval(statement("spans_conflicting"), *times))


async def _times(connection: Connection, table: str) -> tuple[datetime, datetime]:
    """When the first and the last staged row of a table start."""
    (row,) = await connection.fetch(statement("staged_times").format(table=table))
    return row["first"], row["last"]


async def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[StagedRow]) -> None:
    if not rows:
        return
    counted = _Counted(rows)
    try:
        await connection.copy_records_to_table(table, schema_name="pg_temp", columns=columns, records=counted)
    except Exception as error:
        if classify(error) is Poison:
            raise as_poison(error, counted.sent) from None
        raise


class _Counted:
    """Counts rows as they are encoded: an error of the client is that of the last one."""

    def __init__(self, rows: Sequence[StagedRow]) -> None:
        self._rows = rows
        self.sent = 0

    def __iter__(self) -> Iterator[StagedRow]:
        for row in self._rows:
            self.sent += 1
            yield row


def as_poison(error: Exception, sent: int | None = None) -> Poison:
    """A record's fault, without what the server quotes of the record. `sent` is how many rows were encoded."""
    if isinstance(error, Poison):
        return error
    if not isinstance(error, asyncpg.PostgresError):
        return Poison(message_of(error), code="encoding", line=sent)
    found = _COPY_LINE.findall(error.context or "")
    return Poison(message_of(error), code=f"store:{error.sqlstate}", line=int(found[-1]) if found else None)
