"""One look at the store and the streams: everything that can be wrong, in one place."""

from dataclasses import replace
from datetime import datetime
from typing import Final

import asyncpg
from redis.asyncio import Redis

from tracequeue_worker.alerts import failures, staleness
from tracequeue_worker.alerts.dead_letters import find_dead_letters, read_new
from tracequeue_worker.alerts.failures import find_failures
from tracequeue_worker.alerts.findings import Finding, Sight
from tracequeue_worker.alerts.memory import Memory
from tracequeue_worker.alerts.outage import Outage
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.alerts.staleness import find_stale
from tracequeue_worker.alerts.waiting import find_waiting
from tracequeue_worker.backlog import read_backlog
from tracequeue_worker.classify import failure
from tracequeue_worker.database import create_pool
from tracequeue_worker.dead_letters.reader import DeadLetters
from tracequeue_worker.errors import WorkerError
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership

DEADLINE: Final = 10.0
"""Seconds that a query may take."""
LETTERS_AT_ONCE: Final = 4
"""A letter may hold 4 MiB, and this is the memory of a bot."""
AWAY: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, WorkerError)
"""What a database raises that is away, ails, or refuses us."""


class Lookout:
    """Looks through connections of its own. A database that is away is a finding."""

    def __init__(self, client: Redis, settings: WorkerSettings, rules: AlertRules) -> None:
        self._client = client
        self._settings = settings
        self._rules = rules
        self._membership = Membership.of(settings)
        self._letters = DeadLetters(client, self._membership, page=LETTERS_AT_ONCE)
        self._postgres = Outage("Postgres")
        self._pool: asyncpg.Pool | None = None

    async def look(self, now: datetime) -> Sight:
        """What is wrong now, but for the dead letters. Raises `Transient` or `Fatal` where Redis cannot say."""
        waiting = find_waiting(await read_backlog(self._client, self._membership), self._rules)
        stored, blind = await self._look_at_store(now)
        if waiting.state != "well":
            stored, blind = [_in_doubt(finding) for finding in stored], (failures.PREFIX, staleness.PREFIX)
        return Sight([waiting, *stored, self._postgres.finding(self._rules, now)], blind)

    async def look_at_letters(self, memory: Memory, now: datetime) -> Finding:
        """The dead letters that a chat does not know yet. Raises `Transient` or `Fatal`."""
        await read_new(self._letters, memory.letters, now)
        return find_dead_letters(memory.letters, self._rules, now)

    async def close(self) -> None:
        """Drop the connections: nothing is awaited from a server that may be frozen."""
        if self._pool is not None:
            self._pool.terminate()

    async def _look_at_store(self, now: datetime) -> tuple[list[Finding], tuple[str, ...]]:
        """What the store tells, and what cannot be told because it is away."""
        try:
            if self._pool is None:
                self._pool = await create_pool(self._settings, role="tracequeue_reader", deadline=DEADLINE)
            found = await find_failures(self._pool, self._rules, now) + await find_stale(self._pool, self._rules, now)
        except AWAY as error:
            self._postgres.failed(error if isinstance(error, WorkerError) else failure(error), now)
            return [], (failures.PREFIX, staleness.PREFIX)
        self._postgres.recovered()
        return found, ()


def _in_doubt(finding: Finding) -> Finding:
    """While traces wait to be stored, nobody knows that a pipeline is stale, or that it is well again."""
    known = finding.state == "wrong" and not finding.key.startswith(staleness.PREFIX)
    return finding if known else replace(finding, state="undecided")
