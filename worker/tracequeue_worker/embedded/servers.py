"""Which servers `tracequeue up` uses: those that the settings name, embedded ones for the rest."""

import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tracequeue_worker.errors import Unreachable
from tracequeue_worker.settings import WorkerSettings

DATA_DIR = Path(".tracequeue")


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are."""

    redis_url: str = field(repr=False)
    database_url: str = field(repr=False)


def to_start(settings: WorkerSettings) -> dict[str, str]:
    """The servers that the settings do not name: field and product."""
    products = {"redis_url": "Redis", "database_url": "Postgres"}
    return {field: product for field, product in products.items() if field not in settings.model_fields_set}


@contextmanager
def servers(settings: WorkerSettings, data_dir: Path = DATA_DIR) -> Iterator[Servers]:
    """Give the URLs that `settings` was given, and run embedded servers in `data_dir` for those it was not given.

    Raises `MissingExtra` or `Unreachable`.
    """
    missing = to_start(settings)
    redis_url, database_url = settings.redis_url.get_secret_value(), settings.database_url.get_secret_value()
    with ExitStack() as stack:
        if "redis_url" in missing:
            redis_url = stack.enter_context(_redis(data_dir))
        if "database_url" in missing:
            database_url = stack.enter_context(_postgres(data_dir))
        yield Servers(redis_url, database_url)


def _redis(data_dir: Path) -> AbstractContextManager[str]:
    _check_platform("TRACEQUEUE_REDIS_URL")
    from tracequeue_worker.embedded.redis import embedded_redis  # noqa: PLC0415

    return embedded_redis(data_dir)


def _postgres(data_dir: Path) -> AbstractContextManager[str]:
    _check_platform("TRACEQUEUE_DATABASE_URL")
    from tracequeue_worker.embedded.postgres import embedded_postgres  # noqa: PLC0415

    return embedded_postgres(data_dir)


def _check_platform(variable: str) -> None:
    """The modules behind this need Unix: they cannot even be imported on Windows."""
    if platform.system() == "Windows":
        raise Unreachable(f"embedded servers run on Linux and macOS only: set {variable} to a server")
