"""Other tracers that figures are compared with, in the environments that `make bench-peers` made for them."""

import os
import subprocess
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / ".venv-peers"
FAMILIES: Final = {
    "caller": ("opentelemetry-sdk", "logfire", "langfuse"),
    "phoenix": ("arize-phoenix",),
    "mlflow": ("mlflow",),
    "agenta": ("agenta",),
}
"""Environment -> the peers in it. The file of that name beside this one pins all that they need."""


def versions(family: str) -> dict[str, str]:
    """Of the peers that the environment has."""
    places = [str(path) for path in (FOLDER / family).glob("lib/python*/site-packages")]
    return {one.name: one.version for one in distributions(path=places) if one.name in FAMILIES[family]}


def there(family: str) -> bool:
    return len(versions(family)) == len(FAMILIES[family])


def interpreter(family: str) -> Path:
    return FOLDER / family / "bin/python"


def output_of(
    family: str, program: str, *arguments: str, given: bytes = b"", environment: Mapping[str, str] | None = None
) -> bytes:
    """What one of our programs, a module of this package, prints in that environment; `given` is its standard input."""
    done = subprocess.run(
        [interpreter(family), "-m", f"benchmarks.peers.{program}", *arguments],
        input=given, capture_output=True, check=False, cwd=PROJECT, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout
