"""Connections to Postgres: never without a deadline, with the least rights that do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

import asyncpg

from tracequeue.tls import tls_cure
from tracequeue_worker.classify import classify, cure_of, message_of
from tracequeue_worker.errors import Fatal, LoginRefused, Poison, Unreachable
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sql import statement

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy"
"""One of a pool's."""
Role: TypeAlias = Literal["tracequeue_writer", "tracequeue_reader"]

DEADLINE = 60.0
"""Seconds that one statement may take. The server gives up first, so that its error tells why."""
GRACE = 5.0
LOCK_TIMEOUT = 10.0
CONNECT_TIMEOUT = 10.0

JSONB_VERSION = b"\1"
"""Of the binary format: it stands before the text."""


async def connect(url: str, *, application: str, deadline: float = DEADLINE) -> asyncpg.Connection:
    """One connection under the login's own role, for migrations. Raises `Unreachable`."""
    try:
        return await asyncpg.connect(url, **_options(application, deadline))
    except Exception as error:
        raise _unreachable(url, error) from None


async def create_pool(
    settings: WorkerSettings, *, role: Role, size: int = 2, deadline: float = DEADLINE, at_once: bool = True
) -> asyncpg.Pool:
    """A pool whose connections act as `role` where the login may. It starts with one connection, and makes others when
    they are asked for: one with a least size connects behind our back, with a traceback each time it fails.

    Raises `Unreachable`, or `Fatal` where the schema is missing; not if it need not connect `at_once`.
    """
    url = settings.database_url.get_secret_value()
    application = f"tracequeue {role.removeprefix('tracequeue_')}"

    async def assume(connection: asyncpg.Connection) -> None:
        await _assume(connection, role)

    pool = await asyncpg.create_pool(
        url, min_size=0, max_size=size, init=assume, reset=_stay, **_options(application, deadline)
    )
    if not at_once:
        return pool
    try:
        async with pool.acquire():
            return pool
    except Exception as error:
        pool.terminate()
        if isinstance(error, Fatal):
            raise
        raise _unreachable(url, error) from None


@asynccontextmanager
async def acquired(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """A connection of the pool. After a failure that is not a record's it is dropped: nothing is awaited from a server
    that may be frozen, and a new connection sees new rights."""
    connection = await pool.acquire()
    try:
        yield connection
    except BaseException as error:
        if classify(error) is not Poison:
            with suppress(asyncpg.InterfaceError):  # it ended, and the pool has noticed
                connection.terminate()
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            await pool.expire_connections()
        raise
    finally:
        await pool.release(connection)


@asynccontextmanager
async def transaction(pool: asyncpg.Pool, *, rehearsal: bool = False) -> AsyncIterator[Connection]:
    """One transaction on a connection of its own. A `rehearsal` is rolled back, and fails where its commit would."""
    async with acquired(pool) as connection:
        await connection.execute("BEGIN")
        try:
            yield connection
            if rehearsal:
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except BaseException as error:
            if classify(error) is Poison:
                await connection.execute("ROLLBACK")
            raise
        await connection.execute("ROLLBACK" if rehearsal else "COMMIT")


async def _assume(connection: asyncpg.Connection, role: Role) -> None:
    if not await connection.fetchval(statement("schema_exists")):
        raise Fatal("the database has no tracequeue tables: run `tracequeue migrate`")
    if await connection.fetchval(statement("may_assume_role"), role):
        await connection.execute(f"SET ROLE {role}")
    if role == "tracequeue_writer":
        await connection.execute(statement("compression"))
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", format="binary", encoder=_jsonb, decoder=_json_text
        )


async def _stay(connection: asyncpg.Connection) -> None:
    """Between two uses a connection stays as it was made. Nobody sets anything beyond a transaction here, and asyncpg's
    own way, RESET ALL, is one more round trip and would take the compression back."""


def _jsonb(value: bytes | str) -> bytes:
    """As COPY sends it. Rows have their JSON in bytes, as it was encoded."""
    return JSONB_VERSION + (value if isinstance(value, bytes) else value.encode())


def _json_text(value: bytes) -> str:
    return value.removeprefix(JSONB_VERSION).decode()


def _options(application: str, deadline: float) -> dict[str, Any]:
    milliseconds = str(round(deadline * 1000))
    return {
        "timeout": CONNECT_TIMEOUT,
        "command_timeout": deadline + min(deadline, GRACE),
        "server_settings": {
            "application_name": application,
            "statement_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
            # Below the deadline: a lock that somebody holds must not look like a statement that takes too long.
            "lock_timeout": str(round(min(deadline / 2, LOCK_TIMEOUT) * 1000)),
        },
    }


def _unreachable(url: str, error: Exception) -> Unreachable:
    cure = cure_of(error) or tls_cure(error, "sslrootcert") or "start it, or check TRACEQUEUE_DATABASE_URL"
    kind = LoginRefused if classify(error) is Fatal else Unreachable
    return kind(f"{address_of(url)}: {message_of(error) or 'no answer'}: {cure}")


def address_of(url: str) -> str:
    """Where the database is, without user and password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or parse_qs(parts.query).get("host", ["localhost"])[0]
        return f"PostgreSQL at {host}:{parts.port or 5432}{parts.path}"
    except ValueError:
        return "the database of TRACEQUEUE_DATABASE_URL"
