"""The Postgres sink: a batch of frames in one transaction, exactly once in effect."""

from collections.abc import Sequence

import asyncpg

from tracequeue_worker.classify import classify, failure
from tracequeue_worker.database import DEADLINE, create_pool, transaction
from tracequeue_worker.errors import Fatal, Poison, WorkerError
from tracequeue_worker.records import DecodedFrame, Stored
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sinks.batch import Batch, StagedRow
from tracequeue_worker.sinks.emitters import merge_accounts
from tracequeue_worker.sinks.isolation import find_refused
from tracequeue_worker.sinks.ledger import enter
from tracequeue_worker.sinks.partitions import Partitions
from tracequeue_worker.sinks.staging import (
    as_poison,
    conflicting_spans,
    insert_spans,
    merge_traces,
    stage,
    withdraw,
)


class PostgresSink:
    """Writes frames under the role `tracequeue_writer`. `deadline` is how many seconds one statement may take."""

    def __init__(self, settings: WorkerSettings, *, deadline: float = DEADLINE) -> None:
        self._settings = settings
        self._deadline = deadline
        self._pool: asyncpg.Pool | None = None
        self._partitions = Partitions()
        self.span_conflicts = 0
        """Spans that came again under the same key with other content; the first stored stays."""

    async def open(self) -> None:
        """Connect. Raises `Unreachable`, or `Fatal` where the schema is missing."""
        self._pool = await create_pool(self._settings, role="tracequeue_writer", deadline=self._deadline)

    async def write(self, frames: Sequence[DecodedFrame]) -> list[Stored]:
        """Store a batch; see `sinks.base.Sink`. Raises `Transient` and `Fatal`."""
        try:
            return await self._write(Batch(frames))
        except Exception as error:
            self._partitions.forget()
            if isinstance(error, WorkerError):
                raise
            raise failure(error) from error

    async def close(self) -> None:
        """Close the connections; those in use are cut."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    async def _write(self, batch: Batch) -> list[Stored]:
        """Every round either ends, or takes refused rows out, or makes a partition that was dropped, and that once."""
        await self._partitions.ensure(self._connections, batch.days())
        remade = False
        while True:
            try:
                return await self._commit(batch)
            except Poison as poison:
                await self._isolate(batch, poison)
            except asyncpg.CheckViolationError:  # a CHECK with a name is poison: this is a missing partition
                if remade:
                    raise
                remade = True
                self._partitions.forget()
                await self._partitions.ensure(self._connections, batch.days())

    async def _commit(self, batch: Batch) -> list[Stored]:
        """The order keeps locks short and always the same: see docs/architecture.md."""
        try:
            async with transaction(self._connections) as connection:
                await stage(connection, batch.spans, batch.traces)
                entered = await enter(connection, batch)
                if entered.known:
                    await withdraw(connection, entered.known)
                if batch.spans:
                    known = set(entered.known)
                    expected = sum(row[0] not in known for row in batch.spans)
                    if await insert_spans(connection) < expected:
                        self.span_conflicts += await conflicting_spans(connection)
                if batch.traces:
                    await merge_traces(connection)
                await merge_accounts(connection, [batch.frames[number] for number in entered.new])
        except Exception as error:
            if classify(error) is Poison:
                raise as_poison(error) from None
            raise
        return entered.stored

    async def _isolate(self, batch: Batch, poison: Poison) -> None:
        """Take the refused rows out of the batch. Raises `Fatal` where no row is to blame."""
        refused = await find_refused(batch.spans, self._try_spans) + await find_refused(batch.traces, self._try_traces)
        if not refused:
            raise Fatal(f"the store refuses the batch, but none of its rows: {poison} ({poison.code})")
        batch.refuse(refused)

    async def _try_spans(self, rows: Sequence[StagedRow]) -> None:
        async with transaction(self._connections, rehearsal=True) as connection:
            await stage(connection, rows, [])
            await insert_spans(connection)

    async def _try_traces(self, rows: Sequence[StagedRow]) -> None:
        async with transaction(self._connections, rehearsal=True) as connection:
            await stage(connection, [], rows)
            await merge_traces(connection)

    @property
    def _connections(self) -> asyncpg.Pool:
        if self._pool is None:
            raise Fatal("the sink is not open")
        return self._pool
