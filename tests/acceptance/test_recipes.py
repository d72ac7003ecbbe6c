"""The recipes of docs/replay.md, each line run as it stands there."""

import shlex
from collections.abc import Iterable, Iterator
from typing import Any

import asyncpg
import pytest
import redis

from tests.fixtures.command import Answer, Command
from tests.fixtures.frames import ended, frame, span, started
from tests.fixtures.postgres import outside_the_loop
from tracequeue.keys import dead_key, events_key

MEND_THE_SCHEMA = """
tracequeue dlq list
psql "$TRACEQUEUE_DATABASE_URL" -c 'ALTER TABLE pipeline_spans DROP CONSTRAINT spans_of_the_trainer'
tracequeue replay --dead --dry-run
tracequeue replay --dead
tracequeue audit
tracequeue dlq retry --all
"""
CONSTRAINT = "ALTER TABLE pipeline_spans ADD CONSTRAINT spans_of_the_trainer CHECK (span_name <> 'agent:cook')"
SRC = "a" * 32


class Shell:
    """Runs the lines of a recipe one by one; every one must succeed."""

    def __init__(self, command: Command) -> None:
        self._command = command

    def run(self, lines: Iterable[str]) -> dict[str, Answer]:
        """What each line answered; `psql` answers nothing."""
        answers = {}
        for line in lines:
            program, *arguments = shlex.split(line)
            if program == "psql":
                self.execute(arguments[-1])
                continue
            answers[line] = answer = self._command(*arguments)
            assert answer.code == 0, (line, answer)
        return answers

    def execute(self, statement: str) -> None:
        """As `psql -c` does."""
        outside_the_loop(_execute(self._command.environment["TRACEQUEUE_DATABASE_URL"], statement))

    def stored(self) -> list[str]:
        """The names of the spans that are stored."""
        found: list[str] = []
        outside_the_loop(_collect(self._command.environment["TRACEQUEUE_DATABASE_URL"], found))
        return found


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _collect(url: str, found: list[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        found += [row["span_name"] for row in await connection.fetch("SELECT span_name FROM pipeline_spans ORDER BY 1")]
    finally:
        await connection.close()


@pytest.fixture
def shell(command: Command) -> Shell:
    return Shell(command)


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as made:
        yield made


def test_fix_a_bug_in_the_schema_and_replay_the_dead_letters(
    command: Command, shell: Shell, client: redis.Redis, prefix: str
) -> None:
    shell.execute(CONSTRAINT)
    trace = started()
    shared = {name: trace[name] for name in ("trace_id", "start_time")}
    names = ("agent:cook", "agent:trainer", "agent:cook")
    spans = [span(span_name=name, trace_id=trace["trace_id"]) for name in names]
    client.xadd(events_key(prefix, 0), frame(trace, *spans, ended(**shared, span_count=3), src=SRC))
    assert command("worker", "--drain", "--json").document["dead_letters"] == 2
    assert shell.stored() == ["agent:trainer"]

    *before, last = MEND_THE_SCHEMA.strip().splitlines()
    answers = shell.run(before)
    assert "store:23514" in answers["tracequeue dlq list"].out
    replayed = answers["tracequeue replay --dead"]
    assert "complete: all that the source holds is in the target" in replayed.out
    assert "tracequeue dlq retry --all" in replayed.err
    assert shell.stored() == sorted(names)
    assert client.xlen(dead_key(prefix, 0)) == 2
    (account,) = command("audit", "--json").document["emitters"]
    assert (account["persisted"], account["dead"]) == (5, 0)

    shell.run([last])
    assert command("worker", "--drain", "--json").document["dead_letters"] == 0
    assert client.xlen(dead_key(prefix, 0)) == 0
    assert shell.stored() == sorted(names)
    shell.run(["tracequeue audit"])
