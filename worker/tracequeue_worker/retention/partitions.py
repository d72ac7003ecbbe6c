"""Detaching and dropping the partition of a day, so that nobody waits for it.

DETACH ... CONCURRENTLY marks the partition in one short transaction, then waits, without a lock, for the transactions
that may still use it, then takes it off. Interrupted in between it is left `detaching`, which FINALIZE ends. FINALIZE
waits with a lock that holds up the making of partitions: so it is tried for moments, again and again.
"""

import asyncio
import time
from typing import Final

import asyncpg

from tracequeue_worker.retention.models import Partition, State
from tracequeue_worker.sql import statement

PATIENCE_SECONDS: Final = 10.0
"""How long one partition is tried."""
PAUSE_SECONDS: Final = 0.2
LONG_SECONDS: Final = 5.0
"""A transaction that is open for longer is not waited for."""

WAITS: Final[dict[State, str]] = {"attached": "2s", "detaching": "200ms", "detached": "2s"}
"""The longest wait for one lock or one transaction in each state."""
DETACH: Final[dict[State, str]] = {
    "attached": "ALTER TABLE public.{parent} DETACH PARTITION pipeline_parts.{name} CONCURRENTLY",
    "detaching": "ALTER TABLE public.{parent} DETACH PARTITION pipeline_parts.{name} FINALIZE",
}

IN_THE_WAY = (
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)
"""Somebody uses it, or another partition of the table is still being detached."""


class InTheWay(Exception):
    """It cannot be dropped now; the text says why, and what to do."""


async def drop(connection: asyncpg.Connection, partition: Partition) -> int:
    """Take it off and drop it, from wherever an earlier run left it. Returns its bytes. Raises `InTheWay`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        state: State | None = await connection.fetchval(statement("retention_state"), partition.name)
        if state is None:
            return partition.bytes
        if state == "attached":
            await _nobody_stays(connection, partition)
        try:
            await connection.execute(f"SET lock_timeout = '{WAITS[state]}'")
            if state == "detached":
                return await _drop_detached(connection, partition)
            await connection.execute(DETACH[state].format(parent=partition.parent, name=partition.name))
        except IN_THE_WAY as error:
            if time.monotonic() > deadline:
                await _nobody_stays(connection, partition)
                raise InTheWay(f"{error}: the next run tries again") from None
            await asyncio.sleep(PAUSE_SECONDS)


async def _nobody_stays(connection: asyncpg.Connection, partition: Partition) -> None:
    """Nobody uses the table in a transaction that lasts. Raises `InTheWay`."""
    holders = await connection.fetch(statement("retention_holders"), partition.parent, partition.name, LONG_SECONDS)
    for holder in holders:
        raise InTheWay(
            f"{holder['application'] or 'a program'} (pid {holder['pid']}) uses {partition.parent} in a transaction "
            f"that is open for {holder['seconds']} s: the next run tries again, end the transaction before it"
        )


async def _drop_detached(connection: asyncpg.Connection, partition: Partition) -> int:
    """Unless it was attached again meanwhile, which needs the same advisory lock. Not waited for: its holder may wait
    for this partition."""
    name = f"pipeline_parts.{partition.name}"
    async with connection.transaction():
        await connection.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
        alone = await connection.fetchval(
            "SELECT pg_try_advisory_xact_lock(hashtextextended('tracequeue.partitions', 0))"
        )
        if not alone or await connection.fetchval(statement("retention_state"), partition.name) != "detached":
            raise asyncpg.LockNotAvailableError("partitions are being made at this moment")
        size: int = await connection.fetchval("SELECT pg_total_relation_size($1::text::regclass)", name)
        await connection.execute(f"DROP TABLE {name}")
    return size
