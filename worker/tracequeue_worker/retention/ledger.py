"""Pruning the ledger: frames of long ago become ranges of numbers and two sums, so that accounts close as before."""

from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from tracequeue_worker.sql import statement

PAGES: Final = 128
"""Of the ledger, folded in one short transaction: some thousand frames."""


class Cutoffs(NamedTuple):
    """Frames that were committed before are pruned; later ones where events of them are dead letters."""

    stored: datetime
    dead: datetime


async def foldable(connection: asyncpg.Connection, cutoffs: Cutoffs) -> int:
    return int(await connection.fetchval(statement("retention_foldable"), *cutoffs))


async def fold(connection: asyncpg.Connection, cutoffs: Cutoffs) -> int:
    """Prune, and say how many frames. Each step is a statement of its own, so that it may be interrupted anywhere."""
    pages = await connection.fetchval(statement("retention_ledger_size"))
    pruned = 0
    for first in range(0, pages, PAGES):
        bounds = (first, 0), (first + PAGES, 0)
        pruned += await connection.fetchval(statement("retention_fold"), *bounds, *cutoffs)
    return pruned
