"""Every command in a process of its own against real servers: what it prints, where, and how it ends."""

import json
import shlex
import time
from importlib.metadata import version
from typing import Any

import asyncpg
import pytest
import redis
import typer.core
import typer.main

from tests.fixtures.bot import two_traces
from tests.fixtures.command import Answer, Command
from tests.fixtures.frames import frame, span
from tracequeue.keys import events_key
from tracequeue_worker.cli import app

TREE = typer.main.get_command(app)


def commands(group: Any = TREE, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every registered command by what is typed, nested ones too."""
    found: dict[str, Any] = {}
    for name, one in group.commands.items():
        inner = hasattr(one, "commands")
        found |= commands(one, (*path, name)) if inner else {" ".join((*path, name)): one}
    return found


@pytest.mark.parametrize("name", commands())
def test_help_has_an_example_that_the_command_accepts(alone: Command, name: str) -> None:
    answer = alone(*name.split(), "--help", COLUMNS="200")
    (example,) = [line.strip() for line in answer.out.splitlines() if line.strip().startswith("Example: ")]
    words = shlex.split(example.removeprefix("Example: tracequeue "))
    assert words[: len(name.split())] == name.split()
    commands()[name].make_context(name, words[len(name.split()) :])
    assert answer.code == 0
    assert "--json" in answer.out


def test_without_arguments_it_lists_every_command(alone: Command) -> None:
    listed = alone().out + alone("dlq").out
    assert all(name.split()[-1] in listed for name in commands())


def test_it_says_its_version(alone: Command) -> None:
    answer = alone("--version")
    assert (answer.code, answer.out) == (0, f"tracequeue {version('tracequeue')}\n")


def test_migrate_says_what_it_would_do_does_it_and_does_it_once(command: Command, database_url: str) -> None:
    def migrate(*options: str) -> Answer:
        return command("migrate", *options, TRACEQUEUE_DATABASE_URL=database_url)

    planned = migrate("--dry-run", "--json")
    files = [one["file"] for one in planned.document]
    assert files == sorted(files) != []
    before = migrate("--status", "--json")
    assert before.code == 1
    assert all(one["applied_at"] is None for one in before.document)
    first = migrate()
    assert (first.code, first.err) == (0, "")
    assert first.out.splitlines() == [f"{file}: applied" for file in files]
    after = migrate("--status", "--json")
    assert after.code == 0
    assert [one["file"] for one in after.document if one["applied_at"]] == files
    again = migrate()
    assert (again.code, again.err) == (0, "nothing to apply: the database is up to date\n")
    assert migrate("--json").document == []


def test_a_draining_worker_stores_everything_and_reports_it(command: Command, redis_url: str, prefix: str) -> None:
    two_traces(redis_url, prefix)
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(events_key(prefix, 0), {"body": "nonsense"})
    report = command("worker", "--drain", "--consumer", "one", "--json")
    assert report.code == 0
    numbers = {name: report.document[name] for name in ("events", "rows", "dead_letters", "unfinished")}
    assert numbers == {"events": 15, "rows": 14, "dead_letters": 1, "unfinished": 0}
    empty = command("worker", "--drain")
    assert (empty.code, empty.out) == (0, "")
    assert "0 frames, 0 events: 0 stored, 0 dead letters" in empty.err


def test_log_lines_are_json_where_that_is_asked_for(command: Command) -> None:
    answer = command("worker", "--drain", "--json", TRACEQUEUE_LOG_FORMAT="json")
    assert answer.document["frames"] == 0
    assert all(json.loads(line)["message"] for line in answer.err.splitlines())


def test_status_shows_the_backlog_and_then_the_closed_account(command: Command, redis_url: str, prefix: str) -> None:
    two_traces(redis_url, prefix)
    (waiting,) = command("status", "--json").document["partitions"]
    assert waiting["unread"] > 0
    assert waiting["pending"] == 0
    assert waiting["oldest_seconds"] >= 0
    command("worker", "--drain")
    status = command("status", "--json").document
    (settled,) = status["partitions"]
    assert (settled["unread"], settled["pending"], settled["oldest_seconds"]) == (0, 0, None)
    (account,) = status["emitters"]
    assert [account[name] for name in ("emitted", "persisted", "dead", "in_flight", "lost")] == [14, 14, 0, 0, {}]
    assert status["events_per_second"] > 0
    assert command("status", "--json", TRACEQUEUE_PREFIX="elsewhere").document["emitters"] == []
    table = command("status")
    assert account["emitter_id"] in table.out
    assert table.err == ""


async def test_status_tells_what_was_lost_what_blocks_and_what_lies_on_the_disk(
    command: Command, redis_url: str, prefix: str
) -> None:
    key, old = events_key(prefix, 0), int((time.time() - 3 * 86_400) * 1000)
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(key, frame(span()), id=f"{old}-0")
        client.xgroup_create(key, "forgotten", id="0")
    command("worker", "--drain")
    connection = await asyncpg.connect(command.environment["TRACEQUEUE_DATABASE_URL"])
    await connection.execute(
        "INSERT INTO pipeline_losses (stream, reason, frames, worker) VALUES ($1, 'unread', 5, 'w')", key
    )
    await connection.execute("UPDATE pipeline_emitters SET spooled = 77, lost = '{\"buffer_full\": 3}'")
    await connection.execute(
        "INSERT INTO pipeline_emitters (emitter_id, last_seen) "
        "SELECT gen_random_uuid(), now() - interval '9 days' FROM generate_series(1, 30)"
    )
    await connection.execute(
        "INSERT INTO pipeline_frames (emitter_id, partition, seq, digest, stream, entry_id, events) "
        "SELECT emitter_id, 0, 1, '', $1, '1-0', 0 FROM pipeline_emitters WHERE service IS NULL ON CONFLICT DO NOTHING",
        key,
    )
    await connection.close()
    (command.folder / "spool").mkdir()
    answer = command("status", TRACEQUEUE_SPOOL_DIR="spool")
    assert answer.code == 0
    assert f"{key}: 5 frames lost before a worker could store them (unread)" in answer.out
    assert f"XGROUP DESTROY {key} forgotten" in answer.out
    assert "spool: 0 B of 1.0 GiB used" in answer.out
    (emitter,) = [line for line in answer.out.splitlines() if "buffer_full" in line]
    assert "77" in emitter.split()
    assert "and 11 more" in answer.out
    document = command("status", "--json").document
    assert [(loss["stream"], loss["frames"]) for loss in document["losses"]] == [(key, 5)]
    assert [one["group"] for one in document["groups_that_block_trimming"]] == ["forgotten"]
    assert (len(document["emitters"]), document["spool"]) == (31, [])


@pytest.mark.parametrize(
    "arguments",
    [
        ("traces", "--since", "yesterday"), ("traces", "--since", "999999w"),
        ("traces", "--until", "0001-01-01T00+23:00"),
        ("traces", "--limit", "0"), ("traces", "--telegram-id", "9" * 30), ("traces", "--nonsense"),
        ("trace", "nonsense"), ("trace",), ("dlq", "show", "nonsense"), ("dlq", "show", "9" * 30 + "-0"),
        ("worker", "--consumer"), ("up", "--workers", "0"), ("nonsense",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_nonsense_is_a_usage_error_before_any_server_is_asked(alone: Command, arguments: tuple[str, ...]) -> None:
    answer = alone(
        *arguments, TRACEQUEUE_REDIS_URL="redis://127.0.0.1:1", TRACEQUEUE_DATABASE_URL="postgresql://[::1]:1"
    )
    assert (answer.code, answer.out) == (2, "")
    assert answer.err != ""
