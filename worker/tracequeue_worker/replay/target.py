"""The database that a replay fills: looked at before anything is written, and spoken of as the user named it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import asyncpg

from tracequeue_worker import migrate
from tracequeue_worker.classify import failure
from tracequeue_worker.database import address_of, connect, create_pool
from tracequeue_worker.errors import Fatal, WorkerError
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sql import statement

VARIABLE = "TRACEQUEUE_DATABASE_URL"
"""What error texts name by themselves."""


@dataclass(frozen=True, slots=True)
class Target:
    """The database of `settings`. `option` is where its URL came from."""

    settings: WorkerSettings
    option: str = VARIABLE

    @property
    def name(self) -> str:
        """Where it is, without user and password."""
        return address_of(self.url)

    @property
    def url(self) -> str:
        return self.settings.database_url.get_secret_value()

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Errors of the database become those of this project, and name what the user typed."""
        try:
            yield
        except WorkerError as error:
            error.args = (str(error).replace(VARIABLE, self.option),)
            raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raised = failure(error)
            raised.args = (str(raised).replace(VARIABLE, self.option),)
            raise raised from error

    async def prepare(self, *, migrating: bool = False) -> None:
        """See whether rows can be written here, and migrate if that is wanted.

        Raises `Unreachable`, `Fatal` with the cure, or `MigrationError` where a newer version migrated it.
        """
        async with self._looking() as connection:
            if migrating:
                await migrate.migrate(connection)
            await _check_schema(connection)

    async def has_tables(self) -> bool:
        """For a dry run, which may do without tables. Those that are there must be of this version: raises as
        `prepare` does."""
        async with self._looking() as connection:
            if not await _has_tables(connection):
                return False
            await _check_schema(connection)
            return True

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection under the login's own role, to a server that takes rows."""
        with self.speaking():
            connection = await connect(self.url, application="tracequeue replay")
            try:
                await _check_server(connection)
                yield connection
            finally:
                await connection.close()

    @asynccontextmanager
    async def pool(self) -> AsyncIterator[asyncpg.Pool]:
        """Connections under the writer's role, where the login may."""
        with self.speaking():
            pool = await create_pool(self.settings, role="tracequeue_writer", size=1)
        try:
            yield pool
        finally:
            pool.terminate()


async def _check_server(connection: asyncpg.Connection) -> None:
    (server,) = await connection.fetch(statement("target_server"))
    if server["is_standby"]:
        raise Fatal("the target is a standby, which takes no rows: name its primary")
    if server["is_read_only"]:
        raise Fatal("the target is read only: switch default_transaction_read_only off there, or name another database")


async def _check_schema(connection: asyncpg.Connection) -> None:
    try:
        pending = [one for one in await migrate.status(connection) if one.applied_at is None]
    except asyncpg.InsufficientPrivilegeError:  # before the migration that lets a writer look
        raise Fatal(_unmigrated("was migrated by an older version")) from None
    if pending:
        lacks = "has no tracequeue tables" if not await _has_tables(connection) else "was migrated by an older version"
        raise Fatal(_unmigrated(lacks))


def _unmigrated(lacks: str) -> str:
    return f"the target {lacks}: run it again with --migrate, under the login of the owner of the database"


async def _has_tables(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval(statement("schema_exists")))
