"""Servers and workers of peers as child processes, and the databases they store in."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import create_server
from time import perf_counter

import asyncpg

from tracequeue_worker.embedded import Servers, guard

STORED_SECONDS, POLL_SECONDS = 120, 0.02


@contextmanager
def child(command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Run a program in `folder`, where it also keeps its log; it does not outlive this process."""
    with (folder / "log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, "", "SIGTERM", *map(str, command)],
            env={**os.environ, **environment}, cwd=folder, start_new_session=True,
            stdin=subprocess.PIPE, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait()


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def new_database(place: Servers, name: str) -> str:
    """Its URL, for any driver."""
    connection = await asyncpg.connect(place.database_url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return place.database_url.replace("/postgres?", f"/{name}?").replace("%2F", "/")


async def stored(database: asyncpg.Connection, least: int = 0) -> int:
    """How many spans a peer has stored, once these are so many. Their table has this name in all of them."""
    started = perf_counter()
    while (count := await database.fetchval("SELECT count(*) FROM spans")) < least:
        assert perf_counter() - started < STORED_SECONDS, f"{count} rows instead of {least}"
        await asyncio.sleep(POLL_SECONDS)
    return int(count)
