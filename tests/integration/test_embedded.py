"""The servers of `tracequeue up`: they start, keep their data, say why they do not start, and never outlive us."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import redis

from tracequeue_worker.embedded import servers
from tracequeue_worker.embedded.postgres import embedded_postgres
from tracequeue_worker.embedded.redis import embedded_redis
from tracequeue_worker.errors import Unreachable
from tracequeue_worker.settings import WorkerSettings

Embedded = Callable[[Path], AbstractContextManager[str]]
EITHER = pytest.mark.parametrize("embedded", [embedded_redis, embedded_postgres])


async def ask(url: str, *statements: str) -> str:
    """The answer of the last statement."""
    connection = await asyncpg.connect(url)
    try:
        answers = [await connection.fetch(statement) for statement in statements]
        return str(answers[-1][0][0])
    finally:
        await connection.close()


@pytest.fixture(params=["installed", "bundled"])
def redis_source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With an empty PATH there is only the server of the package."""
    if request.param == "bundled":
        monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("redis_source")
def test_redis_keeps_its_data_and_refuses_to_evict(tmp_path: Path) -> None:
    with embedded_redis(tmp_path) as url, redis.Redis.from_url(url) as client:
        client.xadd("stream", {"body": "1"})
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("port") == {"port": "0"}
    with embedded_redis(tmp_path) as url, redis.Redis.from_url(url) as client:
        assert client.xlen("stream") == 1


async def test_postgres_keeps_its_data_and_is_durable_and_private(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path) as url:
        await ask(url, "CREATE TABLE kept AS SELECT 7 AS number", "SELECT 1")
        assert await ask(url, "SHOW fsync") == "on"
        assert await ask(url, "SHOW synchronous_commit") == "on"
        assert await ask(url, "SHOW listen_addresses") == ""
        assert await ask(url, "SHOW server_encoding") == "UTF8"
        assert int(await ask(url, "SHOW server_version_num")) >= 150000
    assert (tmp_path / "postgres/data").stat().st_mode & 0o077 == 0
    with embedded_postgres(tmp_path) as url:
        assert await ask(url, "SELECT number FROM kept") == "7"


async def test_a_folder_may_have_a_long_name_with_blanks(tmp_path: Path) -> None:
    folder = tmp_path / "a folder of ünusual length" / ("x" * 90)
    with embedded_redis(folder) as redis_url, embedded_postgres(folder) as database_url:
        with redis.Redis.from_url(redis_url) as client:
            assert client.ping()
        assert await ask(database_url, "SELECT 1") == "1"


@EITHER
def test_a_folder_in_use_is_refused_in_words(embedded: Embedded, tmp_path: Path) -> None:
    with embedded(tmp_path), pytest.raises(Unreachable, match=f"in use by process {os.getpid()}"), embedded(tmp_path):
        pass


@EITHER
def test_a_server_that_does_not_start_says_why(embedded: Embedded, tmp_path: Path) -> None:
    with embedded(tmp_path):
        pass
    for name in ("redis/appendonlydir/appendonly.aof.manifest", "postgres/data/postgresql.conf"):
        if (tmp_path / name).exists():
            (tmp_path / name).write_text("nonsense")
    with pytest.raises(Unreachable, match=r"did not start: .+the whole log: .*/log") as caught, embedded(tmp_path):
        pass
    assert "said nothing" not in str(caught.value)


def test_servers_that_are_given_are_taken_and_none_is_started(tmp_path: Path) -> None:
    settings = WorkerSettings.load(
        redis_url="redis://:secret@redis.example:1/0", database_url="postgresql://db.example/x"
    )
    with servers(settings, tmp_path) as found:
        assert found.redis_url == "redis://:secret@redis.example:1/0"
        assert found.database_url == "postgresql://db.example/x"
        assert "secret" not in repr(found)
    assert list(tmp_path.iterdir()) == []


async def test_servers_that_are_not_given_are_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "DATABASE_URL", "TRACEQUEUE_REDIS_URL", "TRACEQUEUE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with servers(WorkerSettings.load(), tmp_path) as found:
        with redis.Redis.from_url(found.redis_url) as client:
            assert client.ping()
        assert await ask(found.database_url, "SELECT 1") == "1"


STARTER = """
import signal, sys
from pathlib import Path
from tracequeue_worker.embedded.redis import embedded_redis
from tracequeue_worker.embedded.postgres import embedded_postgres
folder = Path(sys.argv[1])
with embedded_redis(folder) as redis_url, embedded_postgres(folder):
    print(redis_url, flush=True)
    signal.pause()
"""


@dataclass(frozen=True, slots=True)
class Started:
    """Servers in a process of their own, which is the leader of a process group."""

    starter: subprocess.Popen[str]
    redis_pid: int
    postgres_pid: int

    def end(self, how: signal.Signals) -> None:
        os.killpg(self.starter.pid, how)
        self.starter.wait()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    ) as starter:  # fmt: skip
        assert starter.stdout is not None
        with redis.Redis.from_url(starter.stdout.readline().strip()) as client:
            redis_pid = int(client.info("server")["process_id"])
            client.set("kept", 1)
        postgres_pid = int((tmp_path / "postgres/data/postmaster.pid").read_text().splitlines()[0])
        yield Started(starter, redis_pid, postgres_pid)
        starter.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_servers_end_with_their_starter_however_it_ends(started: Started, how: signal.Signals, tmp_path: Path) -> None:
    assert is_running(started.redis_pid)
    assert is_running(started.postgres_pid)
    started.end(how)
    with embedded_postgres(tmp_path), embedded_redis(tmp_path) as url, redis.Redis.from_url(url) as client:
        assert not is_running(started.redis_pid)
        assert not is_running(started.postgres_pid)
        assert client.get("kept") == b"1"


def test_the_folder_of_a_killed_starter_is_locked_until_its_server_has_ended(started: Started, tmp_path: Path) -> None:
    os.kill(started.redis_pid, signal.SIGSTOP)
    started.end(signal.SIGKILL)
    with (tmp_path / "redis/lock").open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(started.redis_pid, signal.SIGCONT)
        fcntl.flock(lock, fcntl.LOCK_EX)
    assert not is_running(started.redis_pid)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
