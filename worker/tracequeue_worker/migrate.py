"""The migration runner: plain SQL files, forward only, each in a transaction with its row of history.

An own one, because no well-kept library runs plain SQL on asyncpg alone: see docs/decisions.
"""

import asyncio
import hashlib
import random
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from tracequeue_worker.classify import message_of
from tracequeue_worker.database import connect
from tracequeue_worker.errors import MigrationError
from tracequeue_worker.sql import statement

FILE_NAME = re.compile(r"(\d{14})_([a-z0-9]+(?:-[a-z0-9]+)*)\.sql")
LOCK = 0x7472616365717565
"""The advisory lock of all who migrate one database: the ASCII codes of "tracequeue", cut to 64 bits."""
POLL_SECONDS = 0.1
DAYS_BEHIND, DAYS_AHEAD = 1, 7


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `applied_at` is None as long as the database does not have it."""

    version: str
    name: str
    checksum: str
    sql: str
    applied_at: datetime | None = None

    @property
    def file(self) -> str:
        return f"{self.version}_{self.name}.sql"


async def migrate(database: asyncpg.Connection | str, *, dry_run: bool = False) -> list[Migration]:
    """Bring a database to this version, make the partitions of the coming days, and say which files were applied.

    Safe when many start at once. With `dry_run`, only says what would be applied. Raises `MigrationError` and
    `Unreachable`.
    """
    migrations = load(migrations_directory())
    async with _connected(database) as connection:
        if dry_run:
            return _pending(migrations, await _history(connection))
        async with _alone(connection):
            with _explained("the table of the history"):
                await connection.execute(statement("migration_history"))
            pending = _pending(migrations, await _history(connection))
            for migration in pending:
                await _apply(connection, migration)
            with _explained("giving rights and making partitions"):
                await connection.execute(statement("migration_finish"))
                await _make_partitions(connection)
        return pending


async def status(database: asyncpg.Connection | str) -> list[Migration]:
    """Every migration of this version, with the time at which the database got it. Raises like `migrate`."""
    migrations = load(migrations_directory())
    async with _connected(database) as connection:
        history = await _history(connection)
        _pending(migrations, history)
        times = {row["version"]: row["applied_at"] for row in history}
    return [Migration(one.version, one.name, one.checksum, one.sql, times.get(one.version)) for one in migrations]


def migrations_directory() -> Path:
    """Inside the package where a wheel is installed, beside the sources in a checkout."""
    installed = Path(__file__).parent / "migrations"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "migrations"


def load(directory: Path) -> list[Migration]:
    """The files in order. Raises `MigrationError` for a name that would not be found, or that is there twice."""
    migrations: list[Migration] = []
    for path in sorted(directory.glob("*.sql")):
        match = FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: must be named <14 digits>_<name-with-hyphens>.sql")
        if migrations and migrations[-1].version == match[1]:
            raise MigrationError(f"{path.name}: {migrations[-1].file} has the same number; give one of them another")
        data = path.read_bytes()
        migrations.append(Migration(match[1], match[2], hashlib.sha256(data).hexdigest(), data.decode("utf-8")))
    if not migrations:
        raise MigrationError(f"no migrations in {directory}: the installation is incomplete, install it again")
    return migrations


def _pending(migrations: Sequence[Migration], history: Sequence[asyncpg.Record]) -> list[Migration]:
    """What is still to be applied, once the history is found to agree with the files."""
    files = {migration.version: migration for migration in migrations}
    for row in history:
        migration = files.get(row["version"])
        if migration is None:
            raise MigrationError(
                f"the database has migration {row['version']}_{row['name']}, which this version of tracequeue does not "
                "know: a newer version migrated it; upgrade tracequeue here"
            )
        if migration.checksum != row["checksum"]:
            raise MigrationError(
                f"{migration.file} was changed after it had been applied: restore the file, and put the change into a "
                "new migration"
            )
    applied = {row["version"] for row in history}
    return [migration for migration in migrations if migration.version not in applied]


@asynccontextmanager
async def _connected(database: asyncpg.Connection | str) -> AsyncIterator[asyncpg.Connection]:
    if not isinstance(database, str):
        yield database
        return
    connection = await connect(database, application="tracequeue migrate")
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _alone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Poll for the lock: a wait inside the server would deadlock with CREATE INDEX CONCURRENTLY."""
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110  # no event here
        await asyncio.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  # spreads out, hides nothing
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _history(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    if await connection.fetchval("SELECT to_regclass('public.pipeline_migrations')") is None:
        return []
    return list(await connection.fetch(statement("migrations_applied")))


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    with _explained(migration.file):
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                statement("migration_record"), migration.version, migration.name, migration.checksum
            )


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        cure = "migrate as the owner of the database" if getattr(error, "sqlstate", "") == "42501" else "mend the cause"
        raise MigrationError(
            f"{what} failed and left nothing behind: {message_of(error)}; {cure}, and run `tracequeue migrate` again"
        ) from error


async def _make_partitions(connection: asyncpg.Connection) -> None:
    today = datetime.now(UTC).date()
    for offset in range(-DAYS_BEHIND, DAYS_AHEAD + 1):
        await connection.execute(statement("ensure_partition"), today + timedelta(days=offset))
