"""Writes what the ledger of another database says into this one's, in the transaction of a batch."""

from typing import Any

import asyncpg
import orjson

from tracequeue_worker.classify import classify, message_of
from tracequeue_worker.database import Connection
from tracequeue_worker.errors import Damaged, Poison
from tracequeue_worker.replay.bookkeeping import Bookkeeping
from tracequeue_worker.sql import statement


async def copy_ledger(connection: Connection, copied: Bookkeeping) -> None:
    """What is known here stays as it is; the accounts of emitters are merged by maximum.

    Raises `Damaged` where the server refuses what the ledger says: then the transaction can only be rolled back.
    """
    try:
        await _copy(connection, statement("ledger_copy_settled"), copied.settled)
        await _copy(connection, statement("ledger_copy_frames"), copied.frames)
        await _copy(connection, statement("ledger_copy_conflicts"), copied.conflicts)
        merge = statement("emitters_merge").format(seen=statement("emitters_copied"))
        await _copy(connection, merge, copied.emitters)
    except (asyncpg.PostgresError, TypeError, ValueError) as error:
        if classify(error) is Poison:
            raise Damaged(f"the ledger in the file is not as it must be: {message_of(error)}") from None
        raise


async def _copy(connection: Connection, query: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(query, orjson.dumps(rows).decode())
