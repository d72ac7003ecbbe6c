"""The read side: traces, spans, statistics, usage and accounts; and single-row writes for scripts and tests."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg

from tracequeue import gen_ai
from tracequeue.events import SpanEvent, TraceEnded, TraceStarted
from tracequeue.telegram import MESSAGES, message_key
from tracequeue_worker.audit.stored import emitter_account
from tracequeue_worker.conditions import (
    BEGINNING,
    CLOCK_TOLERANCE,
    END,
    SPAN_OF_PIPELINE,
    Conditions,
    conjunction,
    places_of,
)
from tracequeue_worker.database import acquired, transaction
from tracequeue_worker.error_patterns import VARYING_IN_SQL
from tracequeue_worker.read_models import (
    Cursor,
    EmitterAccount,
    Failure,
    Loss,
    Span,
    Statistics,
    TokenUsage,
    Trace,
)
from tracequeue_worker.records import DAY, SpanRow, TraceRow
from tracequeue_worker.rows import ended_row, microseconds, span_row, started_row
from tracequeue_worker.sinks.partitions import Partitions
from tracequeue_worker.sinks.staging import insert_spans, merge_traces, stage
from tracequeue_worker.sql import statement

JSON_COLUMNS = frozenset({"dropped", "metadata", "input_data", "output_data", "attributes", "truncated"})
USAGE_NAMES = {
    "provider": gen_ai.PROVIDER, "request_model": gen_ai.REQUEST_MODEL, "response_model": gen_ai.RESPONSE_MODEL,
    "input_tokens": gen_ai.INPUT_TOKENS, "output_tokens": gen_ai.OUTPUT_TOKENS,
    "cache_read_tokens": gen_ai.CACHE_READ_TOKENS, "cache_write_tokens": gen_ai.CACHE_WRITE_TOKENS,
}  # fmt: skip
"""Of the attributes of spans that called a language model."""
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
        newer: bool = False,
    ) -> list[Trace]:
        """Traces, newest first, that started at or after `since` and before `until`.

        The next page begins at `cursor=traces[-1].cursor`; with `newer`, the page before ends at `traces[0].cursor`.
        """
        conditions: Conditions = [
            ("pipeline_name = {}", pipeline),
            ("telegram_id = {}", telegram_id),
            ("success = {}", success),
            ("start_time >= {}", since),
            ("start_time < {}", until),
            # The first lets the planner leave days out, which it cannot do by a comparison of pairs.
            (f"start_time {'>=' if newer else '<='} {{}}", cursor and cursor[0]),
            (f"(start_time, trace_id) {'>' if newer else '<'} ({{}}, {{}})", cursor),
        ]
        where, values = conjunction(conditions, first=2)
        query = statement("traces_list").format(conditions=where, order="ASC" if newer else "DESC")
        found = [Trace(**_fields(row)) for row in await self._fetch(query, limit, *values)]
        return found[::-1] if newer else found

    async def get_slowest(
        self, *, since: datetime, until: datetime | None = None, pipeline: str | None = None, limit: int = 10
    ) -> list[Trace]:
        """The traces that took longest, of those that ended; the slowest first."""
        where, values = conjunction(_started(since, until, pipeline), first=2)
        query = statement("traces_slowest").format(conditions=where)
        return [Trace(**_fields(row)) for row in await self._fetch(query, limit, *values)]

    async def get_failures(
        self, *, since: datetime, until: datetime | None = None, pipeline: str | None = None, limit: int = 10
    ) -> list[Failure]:
        """Traces that did not end well, grouped by what their errors have in common; the most frequent first."""
        where, values = conjunction(_started(since, until, pipeline), first=3)
        query = statement("failures").format(conditions=where)
        return [Failure(**row) for row in await self._fetch(query, limit, VARYING_IN_SQL, *values)]

    async def get_traces_of_message(
        self, bot_id: int, chat_id: int, message_id: int, *, since: datetime, until: datetime, limit: int = 5
    ) -> list[Trace]:
        """The traces whose metadata say that they sent or edited this message of a Telegram bot, newest first.

        Of those that started within the bounds. Those of the person whose private chat it is are looked at first: there
        is an index of them.
        """
        wanted = json.dumps({MESSAGES: [message_key(bot_id, chat_id, message_id)]})
        for of_chat in (chat_id, None):
            where, values = conjunction([("telegram_id = {}", of_chat)], first=5)
            query = statement("traces_of_message").format(conditions=where)
            if rows := await self._fetch(query, since, until, wanted, limit, *values):
                return [Trace(**_fields(row)) for row in rows]
        return []

    async def get_trace(self, trace_id: UUID) -> Trace | None:
        """One trace, or None."""
        for since, until in places_of(trace_id):
            for row in await self._fetch(statement("trace_get"), trace_id, since, until):
                return Trace(**_fields(row))
        return None

    async def get_spans_for_trace(
        self, trace_id: UUID, *, limit: int | None = None, payloads: bool = True
    ) -> list[Span]:
        """The spans of a trace in the order in which they started, whether or not the trace itself is stored.

        The first `limit` of them; without `payloads`, inputs and outputs are None.
        """
        since, until = await self._bounds(trace_id)
        rows = await self._fetch(statement("trace_spans"), trace_id, since, until, limit, payloads)
        return [Span(**_fields(row)) for row in rows]

    async def stats(
        self,
        *,
        by: Literal["pipeline", "span"] = "pipeline",
        name: str | None = None,
        pipeline: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Statistics]:
        """Counts, failures and durations of what ended, by name; of the last day unless `since` is given.

        With `pipeline`, of this pipeline, or of the spans of its traces.
        """
        end = until or datetime.now(UTC)
        start = since or end - timedelta(days=1)
        of_pipeline = "pipeline_name = {}" if by == "pipeline" else SPAN_OF_PIPELINE
        bounds = (pipeline,) if by == "pipeline" else (pipeline, start - CLOCK_TOLERANCE, end)
        conditions: Conditions = [
            ("start_time >= {}", start),
            ("start_time < {}", end),
            (f"{by}_name = {{}}", name),
            (of_pipeline, bounds if pipeline is not None else None),
        ]
        where, values = conjunction(conditions, first=1)
        query = statement(f"stats_by_{by}").format(conditions=where)
        return [Statistics(**_fields(row)) for row in await self._fetch(query, *values)]

    async def get_token_usage(
        self, *, since: datetime, until: datetime, sizes: Sequence[int] = (), moments: Sequence[datetime] = ()
    ) -> list[TokenUsage]:
        """What calls of language models used, by pipeline, person, provider and model.

        Calls are kept apart where one of the ascending `sizes` lies between their input tokens, or one of the ascending
        `moments` between their starts: calls at a limit belong to what is above it.
        """
        query = statement("token_usage").format(**USAGE_NAMES)
        rows = await self._fetch(query, since, until, list(sizes), list(moments))
        return [TokenUsage(**row) for row in rows]

    async def get_accounts(self, streams: str = "") -> list[EmitterAccount]:
        """The account of every emitter, and one of all frames without an emitter.

        Of those whose frames came over streams whose names begin so.
        """
        return [emitter_account(row) for row in await self._fetch(statement("accounts"), None, streams)]

    async def get_losses(self, streams: str = "") -> list[Loss]:
        """What workers saw disappear before it was stored, from streams whose names begin so."""
        return [Loss(**row) for row in await self._fetch(statement("losses"), streams)]

    async def get_rate(self) -> float:
        """Events stored per second over the last minute."""
        (row,) = await self._fetch(statement("rate"))
        return float(row["rate"])

    async def _fetch(self, query: str, *values: Any) -> list[asyncpg.Record]:
        async with acquired(self._pool) as connection:
            return await connection.fetch(query, *values)

    async def _store(self, spans: Sequence[SpanRow], traces: Sequence[TraceRow], start: int) -> None:
        await self._partitions.ensure(self._pool, [start // DAY])
        async with transaction(self._pool) as connection:
            staged_spans = [(0, *_as_text(row)) for row in spans]
            staged_traces = [(0, *_as_text(row), *NO_SOURCE) for row in traces]
            await stage(connection, staged_spans, staged_traces)
            await insert_spans(connection)
            await merge_traces(connection, len(traces))

    async def _bounds(self, trace_id: UUID) -> tuple[datetime, datetime]:
        """Between which times the spans of a trace can have started, so that few days are looked at."""
        for since, until in places_of(trace_id):
            for row in await self._fetch(statement("trace_times"), trace_id, since, until):
                return row["start_time"] - CLOCK_TOLERANCE, (row["end_time"] or datetime.now(UTC)) + CLOCK_TOLERANCE
        return BEGINNING, END


def _started(since: datetime, until: datetime | None, pipeline: str | None) -> Conditions:
    return [("start_time >= {}", since), ("start_time < {}", until), ("pipeline_name = {}", pipeline)]


def _as_text(row: SpanRow | TraceRow) -> Iterator[Any]:
    """Any pool takes JSON as text."""
    return (value.decode() if isinstance(value, bytes) else value for value in row)


def _fields(row: asyncpg.Record) -> dict[str, Any]:
    """The columns of a row, JSON parsed. Not by a codec of the connection: with one, COPY of jsonb fails."""
    return {
        name: json.loads(value) if name in JSON_COLUMNS and value is not None else value for name, value in row.items()
    }
