"""The databases of a benchmark's server, and what the server spent on them."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil

from tracequeue_worker import migrate

TABLES = "pipeline_spans, pipeline_traces, pipeline_frames, pipeline_emitters"
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


def named(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def make(url: str, name: str) -> str:
    """A database anew, migrated and empty; its URL."""
    await execute(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await execute(url, f"CREATE DATABASE {name}")
    await migrate.migrate(named(url, name))
    return named(url, name)


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def value(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url)
    found = await connection.fetchval(query)
    await connection.close()
    return found


async def server_seconds(url: str) -> float:
    """Processor seconds of all backends that have ended; they are waited for. The server runs on this machine."""
    connection = await asyncpg.connect(url)
    while await connection.fetchval(OTHERS):
        await connection.execute("SELECT pg_sleep(0.1)")
    times = psutil.Process(psutil.Process(await connection.fetchval("SELECT pg_backend_pid()")).ppid()).cpu_times()
    await connection.close()
    return float(times.children_user + times.children_system)
