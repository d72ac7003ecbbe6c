"""The daily partitions that a batch needs, made before it is written."""

from collections.abc import Iterable
from datetime import date, timedelta

import asyncpg

from tracequeue_worker.database import acquired
from tracequeue_worker.sql import statement

EPOCH = date(1970, 1, 1)


class Partitions:
    """Makes the partitions of days, and remembers which are there."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    async def ensure(self, pool: asyncpg.Pool, days: Iterable[int]) -> None:
        """Make what is missing of `days` since the epoch: each by itself, outside of any transaction that writes."""
        missing = sorted(set(days) - self._known)
        if not missing:
            return
        async with acquired(pool) as connection:
            for day in missing:
                await connection.execute(statement("ensure_partition"), EPOCH + timedelta(days=day))
                self._known.add(day)

    def forget(self) -> None:
        """Somebody dropped one: ask the database again."""
        self._known.clear()
