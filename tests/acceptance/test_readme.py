"""What README and docs say is run, not believed."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from tracequeue import EmitterSettings
from tracequeue.keys import events_key
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


def test_the_pages_about_reading_and_writing_without_the_emitter_are_true(
    redis_url: str, prefix: str, migrated_database_url: str, tmp_path: Path
) -> None:
    (body,) = re.findall(r"body '(\{[^']*\})'", (ROOT / "docs/wire-format.md").read_text())
    (script,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/reading.md").read_text(), re.DOTALL)
    environment = os.environ | {
        "TRACEQUEUE_REDIS_URL": redis_url,
        "TRACEQUEUE_PREFIX": prefix,
        "TRACEQUEUE_DATABASE_URL": migrated_database_url,
    }
    now = datetime.now(UTC)
    event = json.loads(body)
    trace = {key: event[key] for key in ("trace_id", "duration_ms", "status", "success")} | {
        "type": "trace.ended", "pipeline_name": "support", "start_time": now.isoformat(), "end_time": now.isoformat(),
    }  # fmt: skip
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(events_key(prefix, 0), {"body": body.replace("2026-01-01T", f"{now:%Y-%m-%dT}")})
        client.xadd(events_key(prefix, 0), {"body": json.dumps(trace)})
    reading = tmp_path / "reading.py"
    reading.write_text(script)

    def run(*command: str) -> str:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    run(sys.executable, "-m", "tracequeue_worker", "worker", "--drain")
    printed = run(sys.executable, str(reading))
    assert printed.startswith(f"{event['trace_id']} ok complete 1000.0\n    tool:elsewhere ok 1000.0")


def test_the_fixture_for_users_own_tests_works_as_its_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs/emitter.md").read_text()
    (lines,) = re.findall(r"```python\n(pytest_plugins.*?)```", page, re.DOTALL)
    test = tmp_path / "test_own.py"
    test.write_text(f"""{lines}
from tracequeue import TraceContext, traced_span

@traced_span("agent:trainer")
async def handle_in_a_trace(text): return text

async def handle(text):
    async with TraceContext("support"):
        return await handle_in_a_trace(text)
""")
    options = ("-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "--rootdir", str(tmp_path))
    command = [sys.executable, "-m", "pytest", *options, str(test)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout


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
