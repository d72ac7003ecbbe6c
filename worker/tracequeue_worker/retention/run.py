"""One run of retention, under the login of the owner of the tables."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import asyncpg

from tracequeue_worker.classify import failure
from tracequeue_worker.database import connect
from tracequeue_worker.errors import RetentionError
from tracequeue_worker.retention.ledger import Cutoffs, fold, foldable
from tracequeue_worker.retention.models import Left, Partition, RetentionReport
from tracequeue_worker.retention.partitions import InTheWay, drop
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sql import statement

LOCK: Final = 0x74726163_65726574
"""The advisory lock of a run, which ends with its connection: the ASCII codes of "traceret"."""
MARGIN: Final = timedelta(days=1)
"""Longer than anything takes that comes from the stream or the dead letters at their oldest."""


async def retain(settings: WorkerSettings, days: int, *, dry_run: bool = False) -> RetentionReport:
    """Drop the days that ended more than so many days ago, prune the ledger, forget replays that old.

    Of two at once one does nothing. Raises `RetentionError`, `Unreachable`, `Transient` and `Fatal`.
    """
    url = settings.database_url.get_secret_value()
    connection = await connect(url, application="tracequeue retention")
    try:
        await _check_owner(connection)
        now = await connection.fetchval("SELECT now()")
        before = now.astimezone(UTC).date() - timedelta(days=days)
        partitions = [Partition(**row) for row in await connection.fetch(statement("retention_partitions"), before)]
        cutoffs = _cutoffs(settings, now, before)
        if dry_run:
            return await _foreseen(connection, before, partitions, cutoffs)
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            return RetentionReport(dry_run=False, before=before, dropped=[], left=[], frames=0, replays=0, busy=True)
        return await _done(connection, before, partitions, cutoffs)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise failure(error) from error
    finally:
        connection.terminate()


def _cutoffs(settings: WorkerSettings, now: datetime, before: date) -> Cutoffs:
    """Nothing is pruned that may still be in the stream, nor a frame of which a dead letter may still be there."""
    midnight = datetime.combine(before, time(), UTC)
    stored = min(midnight, now - timedelta(seconds=settings.keep_stream_seconds) - MARGIN)
    return Cutoffs(stored, min(stored, now - timedelta(seconds=settings.dead_letter_seconds) - MARGIN))


async def _foreseen(
    connection: asyncpg.Connection, before: date, partitions: list[Partition], cutoffs: Cutoffs
) -> RetentionReport:
    return RetentionReport(
        dry_run=True,
        before=before,
        dropped=partitions,
        left=[],
        frames=await foldable(connection, cutoffs),
        replays=await connection.fetchval(statement("retention_replays_old"), cutoffs.stored),
    )


async def _done(
    connection: asyncpg.Connection, before: date, partitions: list[Partition], cutoffs: Cutoffs
) -> RetentionReport:
    """The ledger goes last: a run that is interrupted has dropped days at least."""
    dropped: list[Partition] = []
    left: list[Left] = []
    held: dict[str, str] = {}
    for partition in partitions:
        try:
            if partition.state == "attached" and partition.parent in held:
                raise InTheWay(held[partition.parent])
            dropped.append(partition.model_copy(update={"bytes": await drop(connection, partition)}))
        except InTheWay as why:
            held[partition.parent] = str(why)
            left.append(Left(name=partition.name, why=str(why)))
    await connection.execute("RESET lock_timeout")
    return RetentionReport(
        dry_run=False,
        before=before,
        dropped=dropped,
        left=left,
        frames=await fold(connection, cutoffs),
        replays=await connection.fetchval(statement("retention_replays"), cutoffs.stored),
    )


async def _check_owner(connection: asyncpg.Connection) -> None:
    owner = await connection.fetchval(statement("retention_owner"))
    if owner is None:
        raise RetentionError("the database has no tables of this version: run `tracequeue migrate`")
    if not owner:
        raise RetentionError(
            "only the owner of the tables may drop days of them: let TRACEQUEUE_DATABASE_URL name the login that runs "
            "`tracequeue migrate`"
        )
