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
            await self._check_schema(connection)

    async def has_tables(self) -> bool:
        """For a dry run, which may do without tables. Those that are there must be of this version: raises as
        `prepare` does."""
        async with self._looking() as connection:
            if not await _has_tables(connection):
                return False
            await self._check_schema(connection)
            return True

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection under the login's own role, to a server that takes rows."""
        with self.speaking():
            connection = await connect(self.url, application="tracequeue replay")
            try:
                await self._check_server(connection)
                yield connection
            finally:
                await connection.close()

    async def _check_server(self, connection: asyncpg.Connection) -> None:
        (server,) = await connection.fetch(statement("target_server"))
        if server["is_standby"]:
            raise Fatal(f"{self.name} is a standby, which takes no rows: name its primary")
        if server["is_read_only"]:
            cure = "switch default_transaction_read_only off there, or name another database"
            raise Fatal(f"{self.name} is read only: {cure}")

    async def _check_schema(self, connection: asyncpg.Connection) -> None:
        try:
            pending = [one for one in await migrate.status(connection) if one.applied_at is None]
        except asyncpg.InsufficientPrivilegeError:  # no writer, or before the migration that lets a writer look
            lacks = "gives this login no rights, or is of an older version: `GRANT tracequeue_writer` to it, or"
            raise self._unmigrated(lacks) from None
        if pending:
            has_tables = await _has_tables(connection)
            raise self._unmigrated("was migrated by an older version:" if has_tables else "has no tracequeue tables:")

    def _unmigrated(self, lacks: str) -> Fatal:
        return Fatal(f"{self.name} {lacks} run it again with --migrate, under the login of the owner of the database")

    @asynccontextmanager
    async def pool(self) -> AsyncIterator[asyncpg.Pool]:
        """Connections under the writer's role, where the login may."""
        with self.speaking():
            pool = await create_pool(self.settings, role="tracequeue_writer", size=1)
        try:
            yield pool
        finally:
            pool.terminate()


async def _has_tables(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval(statement("schema_exists")))
