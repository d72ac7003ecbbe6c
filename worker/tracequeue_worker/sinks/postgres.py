"""The Postgres sink: a batch of frames in one transaction, exactly once in effect."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from tracequeue_worker.classify import classify, failure
from tracequeue_worker.database import DEADLINE, GRACE, Connection, acquired, create_pool, transaction
from tracequeue_worker.errors import Fatal, Poison, WorkerError
from tracequeue_worker.losses import Loss
from tracequeue_worker.records import DecodedFrame, Rejection, Stored
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sinks.base import LeftOut, none_left_out
from tracequeue_worker.sinks.batch import Batch, Key, StagedRow
from tracequeue_worker.sinks.companion import Companion
from tracequeue_worker.sinks.draft import Draft
from tracequeue_worker.sinks.emitters import merge_accounts
from tracequeue_worker.sinks.isolation import find_refused
from tracequeue_worker.sinks.ledger import Entered, enter, known
from tracequeue_worker.sinks.partitions import Partitions
from tracequeue_worker.sinks.staging import (
    as_poison,
    conflicting_spans,
    insert_spans,
    merge_traces,
    stage,
    withdraw,
)
from tracequeue_worker.sinks.suspects import find_suspects, harmless_span, harmless_trace
from tracequeue_worker.sql import statement


class PostgresSink:
    """Writes frames under the role `tracequeue_writer`. `deadline` is how many seconds one statement may take.

    One that is `repairing` does not trust the ledger: of frames that it knows, whatever rows are lost are stored again.
    It counts no `span_conflicts`: to look for them in every batch that comes again is for its companion.
    """

    def __init__(self, settings: WorkerSettings, *, deadline: float = DEADLINE, repairing: bool = False) -> None:
        self._settings = settings
        self._deadline = deadline
        self._repairing = repairing
        self._pool: asyncpg.Pool | None = None
        self._partitions = Partitions()
        self.span_conflicts = 0

    async def open(self) -> None:
        """Connect. Raises `Unreachable`, or `Fatal` where the schema is missing."""
        self._pool = await create_pool(self._settings, role="tracequeue_writer", deadline=self._deadline)

    async def write(
        self,
        frames: Sequence[DecodedFrame],
        left_out: LeftOut = none_left_out,
        companion: Companion | None = None,
    ) -> list[Stored]:
        """Store a batch; see `sinks.base.Sink`. Raises `Transient` and `Fatal`, and what the companion raises."""
        with self._failing():
            return await self._write(Draft(frames), left_out, companion)

    async def find_suspects(self, frame: DecodedFrame) -> list[Rejection]:
        """See `sinks.base.Sink`. Raises `Transient` and `Fatal`."""
        draft = Draft([frame])
        with self._failing():
            await self._partitions.ensure(self._connections, frame.days)
            draft.refuse(await find_suspects(draft.batch.spans, self._try_spans, harmless_span))
            draft.refuse(await find_suspects(draft.batch.traces, self._try_traces, harmless_trace))
        return [one for one in draft.batch.rejections[0] if one not in frame.rejections]

    async def record_losses(self, losses: Sequence[Loss]) -> None:
        """Write down what others took out of the streams. Raises `Transient` and `Fatal`."""
        columns = zip(*((one.detected_at, one.stream, one.reason, one.frames) for one in losses), strict=True)
        try:
            async with transaction(self._connections) as connection:
                await connection.execute(statement("losses_insert"), *map(list, columns), self._settings.consumer)
        except WorkerError:
            raise
        except Exception as error:
            raise failure(error) from error

    async def close(self) -> None:
        """Close the connections; those that are still in use after a grace are cut."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(GRACE):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._partitions.forget()
            if isinstance(error, WorkerError):
                raise
            raise failure(error) from error

    async def _write(self, draft: Draft, left_out: LeftOut, companion: Companion | None) -> list[Stored]:
        """Every round either ends, or takes refused rows out, or makes a partition that was dropped, and that once."""
        await self._partitions.ensure(self._connections, draft.batch.days())
        remade, most = False, 1
        while True:
            try:
                return draft.outcome(await self._commit(draft.batch, companion))
            except Poison as poison:
                await self._isolate(draft, poison, most)
                draft.leave_out(left_out)
                most *= 2
            except asyncpg.CheckViolationError:  # a CHECK with a name is poison: this is a missing partition
                if remade:
                    raise
                remade = True
                self._partitions.forget()
                await self._partitions.ensure(self._connections, draft.batch.days())

    async def _commit(self, batch: Batch, companion: Companion | None = None) -> list[Stored]:
        """The order keeps locks short and always the same: see docs/architecture.md."""
        conflicts = 0
        async with self._attempt() as connection:
            entered = await self._enter(connection, batch, companion)
            all_new = not (batch.retried or self._repairing)
            inserted = await insert_spans(connection, all_new=all_new) if batch.spans else 0
            if inserted < len(batch.spans) and not self._repairing:
                conflicts = await conflicting_spans(connection)
            if batch.traces:
                await merge_traces(connection, batch.different_traces)
            if companion:
                await companion.finish(connection, entered.stored)
            heard = (*entered.new, *entered.repaired, *entered.conflicting)
            await merge_accounts(connection, [batch.frames[number] for number in heard])
        self.span_conflicts += conflicts
        return entered.stored

    async def _enter(self, connection: Connection, batch: Batch, companion: Companion | None) -> Entered:
        """Stage the batch, enter it into the ledger, and take the rows of frames out that are stored already."""
        await stage(connection, batch.spans, batch.traces)
        if companion:
            await companion.begin(connection)
        entered = await enter(connection, batch, repairing=self._repairing)
        if entered.known:
            await withdraw(connection, entered.known)
            batch.withdraw(entered.known)
        return entered

    async def _isolate(self, draft: Draft, poison: Poison, most: int) -> None:
        """Take rows out that are stored already, else so many that are refused. Raises `Fatal` where none is to blame.

        Few at first: once it is seen who is refused everything, there is no need to try all of it.
        """
        batch = draft.batch
        if not self._repairing and draft.empty(await self._known(batch)):
            return
        refused = await find_refused(batch.spans, self._try_spans, most)
        refused = refused or await find_refused(batch.traces, self._try_traces, most)
        if not refused:
            raise Fatal(f"the store refuses the batch, but none of its rows: {poison} ({poison.code})")
        draft.refuse(refused)

    async def _known(self, batch: Batch) -> set[Key]:
        async with acquired(self._connections) as connection:
            return await known(connection, batch)

    async def _try_spans(self, rows: Sequence[StagedRow]) -> None:
        async with self._attempt(rehearsal=True) as connection:
            await stage(connection, rows, [])
            await insert_spans(connection)

    async def _try_traces(self, rows: Sequence[StagedRow]) -> None:
        async with self._attempt(rehearsal=True) as connection:
            await stage(connection, [], rows)
            await merge_traces(connection, len(rows))

    @asynccontextmanager
    async def _attempt(self, *, rehearsal: bool = False) -> AsyncIterator[Connection]:
        """A transaction in which the fault of a record is raised as `Poison`."""
        try:
            async with transaction(self._connections, rehearsal=rehearsal) as connection:
                yield connection
        except Exception as error:
            if classify(error) is Poison:
                raise as_poison(error) from None
            raise

    @property
    def _connections(self) -> asyncpg.Pool:
        if self._pool is None:
            raise Fatal("the sink is not open")
        return self._pool
