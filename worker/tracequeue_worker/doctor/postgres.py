"""Postgres: is what it acknowledges kept, is the schema ours, may we write, and does nobody else?"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import asyncpg

from tracequeue_worker import migrate
from tracequeue_worker.classify import cure_of, message_of
from tracequeue_worker.database import connect
from tracequeue_worker.doctor.finding import Finding, Verdict, clock, size
from tracequeue_worker.errors import MigrationError
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sql import statement

FLOOR: Final = 150_000
DEADLINE_SECONDS: Final = 10.0
WRITER: Final = "tracequeue_writer"
CONNECTIONS_OF_A_WORKER: Final = 2
RETENTION_SLACK_DAYS: Final = 2
SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is looked at, and what the server says of itself."""

    connection: asyncpg.Connection
    facts: Mapping[str, Any]
    retention_days: int | None


Check: TypeAlias = Callable[[Deployment], Awaitable[list[Finding]]]


async def examine_postgres(settings: WorkerSettings) -> list[Finding]:
    """Every check. Raises `Unreachable`, and `LoginRefused` where the server is there."""
    url = settings.database_url.get_secret_value()
    connection = await connect(url, application="tracequeue doctor", deadline=DEADLINE_SECONDS)
    try:
        (facts,) = await connection.fetch(statement("doctor_server"))
        subject = Deployment(connection, dict(facts), settings.retention_days)
        return [finding for name, check in CHECKS.items() for finding in await _checked(name, check, subject)]
    finally:
        connection.terminate()


async def _checked(name: str, check: Check, subject: Deployment) -> list[Finding]:
    """A check that cannot be made is a finding too."""
    try:
        return await check(subject)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        cure = cure_of(error) or "look at the log of Postgres, and ask again"
        return [_finding(name, "fail", message_of(error), cure)]


async def _version(subject: Deployment) -> list[Finding]:
    found = f"PostgreSQL {subject.facts['version']}"
    if subject.facts["version_number"] < FLOOR:
        return [_finding("version", "fail", found, "use PostgreSQL 15 or later")]
    return [_finding("version", "ok", found)]


async def _role(subject: Deployment) -> list[Finding]:
    if subject.facts["replica"] or subject.facts["read_only"]:
        found = "a replica: it refuses writes" if subject.facts["replica"] else "default_transaction_read_only is on"
        return [_finding("role", "fail", found, "let TRACEQUEUE_DATABASE_URL name a database that takes writes")]
    return [_finding("role", "ok", "takes writes")]


async def _durability(subject: Deployment) -> list[Finding]:
    """What is committed is acknowledged, and gone from Redis some time later: it must not be gone here."""
    unsafe = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if subject.facts[name] == "off"]
    if not unsafe:
        return [_finding("durability", "ok", "what is committed survives a crash")]
    cures = {
        "fsync": "set fsync = on in postgresql.conf",
        "full_page_writes": "set full_page_writes = on in postgresql.conf",
        "synchronous_commit": f"run `ALTER ROLE {subject.facts['login']} SET synchronous_commit = on`",
    }
    found = f"{', '.join(unsafe)} off: a crash of this server takes what was committed, and acknowledged, last"
    return [_finding("durability", "fail", found, "; ".join(cures[name] for name in unsafe))]


async def _schema(subject: Deployment) -> list[Finding]:
    try:
        pending = [one.file for one in await migrate.status(subject.connection) if one.applied_at is None]
    except MigrationError as error:
        found, _, cure = str(error).partition(": ")
        return [_finding("schema", "fail", found, cure)]
    if pending:
        return [_finding("schema", "fail", f"not applied: {_some(pending)}", "run `tracequeue migrate`")]
    return [_finding("schema", "ok", "up to date")]


async def _rights(subject: Deployment) -> list[Finding]:
    assumed = await subject.connection.fetchval(statement("may_assume_role"), WRITER)
    role = WRITER if assumed else subject.facts["login"]
    missing = [row["missing"] for row in await subject.connection.fetch(statement("doctor_rights"), role)]
    if missing:
        return [
            _finding(
                "rights", "fail", f"{role} lacks {_some(missing)}",
                "run `tracequeue migrate` as the owner of the tables, it grants the rights",
            )
        ]  # fmt: skip
    if not assumed:
        found = f"{role} may write, with more rights than a worker needs: it is no member of {WRITER}"
        return [_finding("rights", "warn", found, "see deploy/postgres-logins.sql")]
    return [_finding("rights", "ok", f"{subject.facts['login']} writes as {WRITER}")]


async def _exposure(subject: Deployment) -> list[Finding]:
    holes = [row["hole"] for row in await subject.connection.fetch(statement("doctor_exposed"))]
    if not holes:
        return [_finding("exposure", "ok", "nobody else is let in")]
    cure = "these tables hold people's conversations: revoke it, drop the policy, enable row level security"
    return [_finding("exposure", "fail", _some(holes), cure)]


async def _partitions(subject: Deployment) -> list[Finding]:
    """Workers make them too, on demand: this only costs time when a day begins."""
    today = datetime.now(UTC).date().toordinal()
    days = {row["day"].toordinal() for row in await subject.connection.fetch(statement("doctor_partitions"))}
    ahead = 0
    while today + ahead in days:
        ahead += 1
    if ahead >= 2:
        return [_finding("partitions", "ok", f"for today and {ahead - 1} days more")]
    found = "none for tomorrow" if ahead else "none for today"
    return [_finding("partitions", "warn", found, "run `tracequeue migrate` once a day: it makes those of a week")]


async def _retention(subject: Deployment) -> list[Finding]:
    found = (await subject.connection.fetch(statement("doctor_retention")))[0]
    if found["detaching"]:
        halves = f"half detached: {_some(found['detaching'])}"
        return [_finding("retention", "warn", halves, "run `tracequeue retention` as the owner, it ends that")]
    if subject.retention_days is None:
        return [_finding("retention", "ok", "TRACEQUEUE_RETENTION_DAYS is not set: every day stays")]
    first = datetime.now(UTC).date() - timedelta(days=subject.retention_days)
    oldest = found["oldest"]
    if oldest is None or oldest >= first - timedelta(days=RETENTION_SLACK_DAYS):
        return [_finding("retention", "ok", f"nothing is older than {subject.retention_days} days for long")]
    late = f"{oldest} is still there, {subject.retention_days} days are to stay"
    return [_finding("retention", "warn", late, "run `tracequeue retention` once a day, as the owner")]


async def _connections(subject: Deployment) -> list[Finding]:
    left = subject.facts["connections"] - subject.facts["connected"]
    found = f"{left} of {subject.facts['connections']} are left, a worker takes {CONNECTIONS_OF_A_WORKER}"
    if left >= 2 * CONNECTIONS_OF_A_WORKER:
        return [_finding("connections", "ok", found)]
    verdict: Verdict = "warn" if left >= CONNECTIONS_OF_A_WORKER else "fail"
    return [_finding("connections", verdict, found, "raise max_connections, or run fewer workers")]


async def _disk(subject: Deployment) -> list[Finding]:
    return [_finding("disk", "ok", f"the database takes {size(subject.facts['bytes'])}")]


async def _clock(subject: Deployment) -> list[Finding]:
    before = time.time()
    now = await subject.connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    return [clock("postgres", now - (before + time.time()) / 2)]


CHECKS: Final[dict[str, Check]] = {
    "version": _version,
    "role": _role,
    "durability": _durability,
    "schema": _schema,
    "rights": _rights,
    "exposure": _exposure,
    "partitions": _partitions,
    "retention": _retention,
    "connections": _connections,
    "disk": _disk,
    "clock": _clock,
}


def _finding(check: str, verdict: Verdict, found: str, cure: str = "") -> Finding:
    return Finding("postgres", check, verdict, found, cure)


def _some(things: list[str]) -> str:
    more = len(things) - SHOWN
    return ", ".join(things[:SHOWN]) + (f" and {more} more" if more > 0 else "")
