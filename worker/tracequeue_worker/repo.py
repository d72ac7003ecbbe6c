"""The read side: traces, spans, statistics and accounts; and single-row writes for scripts and tests."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg

from tracequeue.events import SpanEvent, TraceEnded, TraceStarted
from tracequeue_worker.audit.stored import emitter_account
from tracequeue_worker.database import transaction
from tracequeue_worker.read_models import Cursor, EmitterAccount, Loss, Span, Statistics, Trace
from tracequeue_worker.records import DAY, SpanRow, TraceRow
from tracequeue_worker.rows import EPOCH, ended_row, microseconds, span_row, started_row
from tracequeue_worker.sinks.partitions import Partitions
from tracequeue_worker.sinks.staging import insert_spans, merge_traces, stage
from tracequeue_worker.sql import statement

JSON_COLUMNS = frozenset({"dropped", "metadata", "input_data", "output_data", "attributes", "truncated"})
BEGINNING, END = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(days=1)
"""How far the time inside a trace id may be from the start of its trace."""
LATEST_ID = (END - CLOCK_TOLERANCE - EPOCH) // timedelta(milliseconds=1)
"""The 48 bits of a UUIDv7 reach beyond the years that a datetime has."""
NO_SOURCE = (None, None, None, None)
"""Service, environment, release and emitter of a trace that no emitter sent."""


class TraceRepo:
    """Reads and writes through any asyncpg pool; the role `tracequeue_reader` is enough to read.

    `database.create_pool` makes one with deadlines and least rights.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._partitions = Partitions()

    async def create_trace(self, event: TraceStarted | TraceEnded) -> None:
        """Store one trace event, merged with what is there."""
        trace_id, start = str(event.trace_id), microseconds(event.start_time)
        if isinstance(event, TraceStarted):
            row = started_row(0, event, trace_id, start)
        else:
            row = ended_row(0, event, trace_id, start, microseconds(event.end_time))
        await self._store([], [row], start)

    async def create_span(self, event: SpanEvent) -> None:
        """Store one span, unless it is there."""
        start, end = microseconds(event.start_time), microseconds(event.end_time)
        await self._store([span_row(0, event, str(event.trace_id), start, end)], [], start)

    async def get_traces(
        self,
        *,
        pipeline: str | None = None,
        telegram_id: int | None = None,
        success: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: Cursor | None = None,
    ) -> list[Trace]:
        """Traces, newest first, that started at or after `since` and before `until`.

        The next page begins at `cursor=traces[-1].cursor`.
        """
        conditions: list[tuple[str, Any]] = [
            ("pipeline_name = {}", pipeline),
            ("telegram_id = {}", telegram_id),
            ("success = {}", success),
            ("start_time >= {}", since),
            ("start_time < {}", until),
            # The first lets the planner leave days out, which it cannot do by a comparison of pairs.
            ("start_time <= {}", cursor and cursor[0]),
            ("(start_time, trace_id) < ({}, {})", cursor),
        ]
        where, values = _conjunction(conditions, first=2)
        query = statement("traces_list").format(conditions=where)
        return [Trace(**_fields(row)) for row in await self._pool.fetch(query, limit, *values)]

    async def get_trace(self, trace_id: UUID) -> Trace | None:
        """One trace, or None."""
        for since, until in _search(trace_id):
            if row := await self._pool.fetchrow(statement("trace_get"), trace_id, since, until):
                return Trace(**_fields(row))
        return None

    async def get_spans_for_trace(self, trace_id: UUID) -> list[Span]:
        """The spans of a trace in the order in which they started, whether or not the trace itself is stored."""
        since, until = await self._bounds(trace_id)
        rows = await self._pool.fetch(statement("trace_spans"), trace_id, since, until)
        return [Span(**_fields(row)) for row in rows]

    async def stats(
        self,
        *,
        by: Literal["pipeline", "span"] = "pipeline",
        name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Statistics]:
        """Counts, failures and durations of what ended, by name; of the last day unless `since` is given."""
        end = until or datetime.now(UTC)
        conditions: list[tuple[str, Any]] = [
            ("start_time >= {}", since or end - timedelta(days=1)),
            ("start_time < {}", end),
            (f"{by}_name = {{}}", name),
        ]
        where, values = _conjunction(conditions, first=1)
        query = statement(f"stats_by_{by}").format(conditions=where)
        return [Statistics(**_fields(row)) for row in await self._pool.fetch(query, *values)]

    async def get_accounts(self, streams: str = "") -> list[EmitterAccount]:
        """The account of every emitter, and one of all frames without an emitter.

        Of those whose frames came over streams whose names begin so.
        """
        return [emitter_account(row) for row in await self._pool.fetch(statement("accounts"), None, streams)]

    async def get_losses(self, streams: str = "") -> list[Loss]:
        """What workers saw disappear before it was stored, from streams whose names begin so."""
        return [Loss(**row) for row in await self._pool.fetch(statement("losses"), streams)]

    async def get_rate(self) -> float:
        """Events stored per second over the last minute."""
        return float(await self._pool.fetchval(statement("rate")))

    async def _store(self, spans: Sequence[SpanRow], traces: Sequence[TraceRow], start: int) -> None:
        await self._partitions.ensure(self._pool, [start // DAY])
        async with transaction(self._pool) as connection:
            await stage(connection, [(0, *row) for row in spans], [(0, *row, *NO_SOURCE) for row in traces])
            await insert_spans(connection)
            await merge_traces(connection, len(traces))

    async def _bounds(self, trace_id: UUID) -> tuple[datetime, datetime]:
        """Between which times the spans of a trace can have started, so that few days are looked at."""
        for since, until in _search(trace_id):
            if row := await self._pool.fetchrow(statement("trace_times"), trace_id, since, until):
                return row["start_time"] - CLOCK_TOLERANCE, (row["end_time"] or datetime.now(UTC)) + CLOCK_TOLERANCE
        return BEGINNING, END


def _conjunction(conditions: Sequence[tuple[str, Any]], *, first: int) -> tuple[str, list[Any]]:
    """The conditions whose value is not None, numbered from `first`, and their values; a tuple gives several."""
    parts: list[str] = []
    values: list[Any] = []
    for text, value in conditions:
        if value is None:
            continue
        some = value if isinstance(value, tuple) else (value,)
        number = first + len(values)
        parts.append(text.format(*(f"${number + offset}" for offset in range(len(some)))))
        values += some
    return " AND ".join(parts) or "TRUE", values


def _search(trace_id: UUID) -> list[tuple[datetime, datetime]]:
    """Where to look for a trace: around the time in its id, if it is a UUIDv7, then everywhere."""
    everywhere = (BEGINNING, END)
    milliseconds = trace_id.int >> 80
    if trace_id.version != 7 or milliseconds >= LATEST_ID:
        return [everywhere]
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    return [(moment - CLOCK_TOLERANCE, moment + CLOCK_TOLERANCE), everywhere]


def _fields(row: asyncpg.Record) -> dict[str, Any]:
    """The columns of a row, JSON parsed. Not by a codec of the connection: with one, COPY of jsonb fails."""
    return {
        name: json.loads(value) if name in JSON_COLUMNS and value is not None else value for name, value in row.items()
    }
