"""What README and docs say is run, not believed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tracequeue import EmitterSettings
from tracequeue_worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]


def quick_start() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return str(code)


def test_the_quick_start_of_the_readme_stores_a_trace(
    redis_url: str, prefix: str, migrated_database_url: str, tmp_path: Path
) -> None:
    environment = os.environ | {
        "TRACEQUEUE_REDIS_URL": redis_url,
        "TRACEQUEUE_PREFIX": prefix,
        "TRACEQUEUE_DATABASE_URL": migrated_database_url,
    }
    bot = tmp_path / "bot.py"
    bot.write_text(quick_start())

    def run(*command: str) -> str:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    output = run(sys.executable, str(bot))
    assert output.startswith("HELLO\n")
    last_line = output.splitlines()[-1]
    assert re.fullmatch(r"tracequeue trace [0-9a-f-]{36}", last_line)
    run(sys.executable, "-m", "tracequeue_worker", "worker", "--drain")
    tree = run(sys.executable, "-m", "tracequeue_worker", *last_line.split()[1:])
    assert "support" in tree
    assert "agent:trainer  ok" in tree


def test_the_quick_start_has_about_twenty_lines() -> None:
    assert len([line for line in quick_start().splitlines() if line.strip()]) <= 20


@pytest.mark.parametrize("model", [EmitterSettings, WorkerSettings])
def test_every_setting_is_documented(model: type[EmitterSettings] | type[WorkerSettings]) -> None:
    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs/settings.md").read_text()))
    assert {name.upper() for name in model.model_fields} <= documented


def test_every_documented_setting_exists() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    documented = set(re.findall(r"`([A-Z_]+)`", text)) - {"TRACEQUEUE_"}
    fields = EmitterSettings.model_fields.keys() | WorkerSettings.model_fields.keys()
    assert documented <= {name.upper() for name in fields}


@pytest.mark.parametrize(
    "page",
    sorted(path.relative_to(ROOT) for path in [ROOT / "README.md", *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]),
    ids=str,
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), f"{page} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_test_that_a_guarantee_names_is_there() -> None:
    named = re.findall(r"`(tests/[^`]+|test_\w+\.py)`", (ROOT / "docs/guarantees.md").read_text())
    assert len(named) > 10
    for name in named:
        assert list(ROOT.glob(name if "/" in name else f"tests/*/{name}")), name
