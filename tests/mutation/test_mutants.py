"""The promises broken on purpose, one at a time, in a copy of the project: for each, tests fail that should.

Each mutant is a few words of the code, replaced. The tests named beside it run on the copy, and one of them must fail;
without a change all of them pass. `docs/guarantees.md` lists the mutants.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
COPIED = ("emitter", "worker", "examples", "migrations", "tests", "pyproject.toml", "README.md")
TESTS_FAILED = 1
"""Pytest's exit code; another one would mean that it could not run them."""


GUARD_SECONDS = "5"
"""How long a test on a mutant waits for what will not happen."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` stands exactly once in `file` and is replaced by `new`. Tests of a file, chosen by name, notice it."""

    promise: str
    file: str
    old: str
    new: str
    tests: str
    chosen: str


MUTANTS = [
    Mutant(
        "acknowledge after the commit",
        "worker/tracequeue_worker/pipeline.py",
        "stored = await self.sink.write(",
        "await self._settle([Stored(frame) for frame in frames]); stored = await self.sink.write(",
        "tests/integration/test_service.py",
        "fatal_store_ends_a_drain",
    ),
    Mutant(
        "the ledger knows a frame that comes again",
        "worker/tracequeue_worker/sql/frames_insert.sql",
        "INSERT INTO public.pipeline_frames (",
        "WITH forgotten AS (SELECT $4::bytea[], $5::text[], $6::text[], $7::integer[], $8::jsonb[])\n"
        "SELECT * FROM unnest($1::uuid[], $2::integer[], $3::bigint[]) AS frame (emitter_id, partition, seq);\n--",
        "tests/integration/test_postgres_sink.py",
        "delivered_again or number_used",
    ),
    Mutant(
        "the dead letter is written before the acknowledgement",
        "worker/tracequeue_worker/lua/settle.lua",
        "local deliveries, wrong = deliveries_of(id)",
        "local deliveries, wrong = deliveries_of(id) redis.call('XACK', stream, group, id)",
        "tests/integration/test_settle.py",
        "another_type or out_of_memory",
    ),
    Mutant(
        "what a dead worker held is claimed",
        "worker/tracequeue_worker/reclaimer.py",
        "async for page in self._of_dead_workers(stream):",
        "for page in ():",
        "tests/integration/test_reclaimer.py",
        "dead_workers_entries",
    ),
    Mutant(
        "the group begins at the stream's beginning",
        "worker/tracequeue_worker/lua/create_group.lua",
        "ARGV[1], '0', 'MKSTREAM'",
        "ARGV[1], '$', 'MKSTREAM'",
        "tests/integration/test_reader.py",
        "before_the_group",
    ),
    Mutant(
        "a batch is written in the order of its keys",
        "worker/tracequeue_worker/sql/spans_insert.sql",
        "ORDER BY trace_id, span_id, staged_spans.start_time, frame, line",
        "ORDER BY frame, line",
        "tests/integration/test_postgres_sink.py",
        "order_of_their_keys",
    ),
    Mutant(
        "a batch that failed is written again, not passed over",
        "worker/tracequeue_worker/pipeline.py",
        "                batch[0] = await self._without_suspects(batch[0])\n            raise\n",
        "                batch[0] = await self._without_suspects(batch[0])\n"
        "            del batch[: len(frames)]\n            return [Stored(frame) for frame in frames]\n",
        "tests/integration/test_service.py",
        "store_that_is_away_holds",
    ),
    Mutant(
        "only what every group has settled is trimmed",
        "worker/tracequeue_worker/lua/trim.lua",
        "if not boundary or before(id, boundary) then",
        "if group.name == own then",
        "tests/integration/test_trimmer.py",
        "every_group_counts",
    ),
    Mutant(
        "a consumer with entries pending is never removed",
        "worker/tracequeue_worker/lua/remove_consumers.lua",
        "wanted and consumer.pending == 0 and",
        "wanted and",
        "tests/integration/test_reclaimer.py",
        "silent_consumers_go_only or leaving_removes",
    ),
    Mutant(
        "the archive acknowledges what is on the disk",
        "worker/tracequeue_worker/history/archiver.py",
        "        await self._writing.until_done(partial(on_disk, partial(self.folder.store, self._batch)))\n",
        "        await self.acknowledger.acknowledge(self._batch)\n"
        "        await self._writing.until_done(partial(on_disk, partial(self.folder.store, self._batch)))\n",
        "tests/fault/test_archive.py",
        "test_killed and write",
    ),
    Mutant(
        "a replay writes a batch only where its part is still where that was read",
        "worker/tracequeue_worker/replay/checkpoint.py",
        'if row["position"] != expected.text:',
        'if row["position"] == "nowhere":',
        "tests/fault/test_replay_beside_workers.py",
        "in_processes_at_once",
    ),
    Mutant(
        "a replay brings rows back whose frames the ledger knows",
        "worker/tracequeue_worker/replay/store.py",
        "PostgresSink(target.settings, repairing=True)",
        "PostgresSink(target.settings)",
        "tests/integration/test_replay_stream.py",
        "rows_that_were_lost",
    ),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    for name in COPIED:
        source = PROJECT / name
        ignored = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.promise.replace(" ", "-"))
def test_a_broken_promise_is_noticed(mutant: Mutant, copy: Path) -> None:
    file = copy / mutant.file
    text = file.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.file} changed: bring this mutant up to date"
    file.write_text(text.replace(mutant.old, mutant.new))

    outcome = run_tests(copy, mutant.chosen, mutant.tests)
    assert outcome.returncode == TESTS_FAILED, outcome.stdout


def test_without_a_change_they_pass(copy: Path) -> None:
    chosen = " or ".join(f"({mutant.chosen})" for mutant in MUTANTS)
    outcome = run_tests(copy, chosen, *sorted({mutant.tests for mutant in MUTANTS}))
    assert outcome.returncode == 0, outcome.stdout


def run_tests(copy: Path, chosen: str, *files: str) -> "subprocess.CompletedProcess[str]":
    """Pytest on the copy's code and the copy's tests, on the embedded servers."""
    code = os.pathsep.join(str(copy / root) for root in ("emitter", "worker"))
    machine = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--servers=embedded"),
            *(f"--basetemp={copy.parent / 'inner'}", "-k", chosen, *files),
        ],
        cwd=copy,
        env=machine | {"PYTHONPATH": code, "TRACEQUEUE_TEST_GUARD_SECONDS": GUARD_SECONDS},
        capture_output=True,
        text=True,
        check=False,
    )
