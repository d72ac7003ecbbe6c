"""Every command, with passwords in both URLs, on good and on broken servers: none of them is ever printed or logged."""

import signal
from collections.abc import Iterator
from urllib.parse import quote

import click
import pytest
import redis
import typer

from tests.fixtures.access import with_login
from tests.fixtures.command import Command
from tests.fixtures.frames import frame, span
from tests.fixtures.postgres import execute
from tracequeue.keys import events_key
from tracequeue_worker.cli import app

REDIS_PASSWORD, DATABASE_PASSWORD = "gate-k33per/:@#", "vault-d00r/:@#"
WORDS = ("gate-k33per", "vault-d00r")
"""How the passwords begin, in a URL too."""
ARGUMENTS = {
    "worker": "--drain", "trace": "019b76da-a800-7000-8000-000000000001", "dlq show": "1-1", "dlq retry": "--all",
    "dlq export": "-", "dlq drop": "--all --yes", "export": "--out backup",
    "retention": "--days 9 --dry-run",
}  # fmt: skip
SERVING = {"up", "demo"}
"""Commands that run servers and workers; `up` has a test of its own."""
AT_ONCE = 4


def every_command() -> list[list[str]]:
    """Those that there are, found in the program: a new one is tested without being named here."""

    def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if not hasattr(command, "commands"):
            yield path
            return
        for name, below in command.commands.items():
            yield from walk(below, (*path, name))

    names = [" ".join(path) for path in walk(typer.main.get_command(app), ()) if path[0] not in SERVING]
    return [[*name.split(), *ARGUMENTS.get(name, "").split()] for name in names]


def said(command: Command, runs: list[list[str]], **variables: str) -> list[tuple[list[str], int, str]]:
    """What each run prints and logs, some of them at a time."""
    done = []
    for first in range(0, len(runs), AT_ONCE):
        some = [(run, command.start(*run, **variables)) for run in runs[first : first + AT_ONCE]]
        for run, process in some:
            out, err = process.communicate()
            done.append((run, process.returncode, out + err))
    return done


@pytest.fixture
def guarded(command: Command, redis_url: str, postgres_url: str, prefix: str) -> Iterator[Command]:
    """The command on servers that ask for the two passwords, with a frame and a dead letter."""
    with redis.Redis.from_url(redis_url) as client:
        client.acl_setuser(prefix, enabled=True, passwords=[f"+{REDIS_PASSWORD}"], keys="*", commands=["+@all"])
        client.xadd(events_key(prefix, 0), frame(span()))
        client.xadd(events_key(prefix, 0), {"body": f"redis://:{quote(REDIS_PASSWORD, safe='')}@example"})
        execute(postgres_url, f"CREATE ROLE {prefix} SUPERUSER LOGIN PASSWORD '{DATABASE_PASSWORD}'")
        database_url = command.environment["TRACEQUEUE_DATABASE_URL"]
        command.environment |= {
            "TRACEQUEUE_REDIS_URL": with_login(redis_url, prefix, quote(REDIS_PASSWORD, safe="")),
            "TRACEQUEUE_DATABASE_URL": with_login(database_url, prefix, quote(DATABASE_PASSWORD, safe="")),
        }
        yield command
        execute(postgres_url, f"DROP ROLE {prefix}")
        client.acl_deluser(prefix)


def assert_silent(answers: list[tuple[list[str], int, str]]) -> None:
    for run, _, text in answers:
        assert "Traceback" not in text, (run, text)
        assert not any(word in text for word in WORDS), (run, text)


def test_on_good_servers(guarded: Command) -> None:
    runs = every_command()
    assert ["status"] in runs
    drained = said(guarded, [["worker", "--drain", "--json"]], TRACEQUEUE_LOG_FORMAT="json")
    assert drained[0][1] == 0, drained
    looking = [run for run in runs if run[:2] not in (["dlq", "export"], ["dlq", "drop"], ["dlq", "retry"])]
    answers = said(guarded, looking) + said(guarded, [[*run, "--json"] for run in looking])
    assert_silent(answers)
    assert {code for _, code, _ in answers} <= {0, 1}, answers


@pytest.mark.parametrize("refusing", ["REDIS", "DATABASE"])
def test_where_a_server_refuses_the_password(guarded: Command, refusing: str) -> None:
    """Servers that cannot be reached at all are in test_command_line_refusals.py."""
    variable = f"TRACEQUEUE_{refusing}_URL"
    assert_silent(said(guarded, every_command(), **{variable: guarded.environment[variable].replace("@", "x@")}))


def test_up_says_nothing_of_servers_that_were_given(guarded: Command) -> None:
    process = guarded.start("up", TRACEQUEUE_LOG_FORMAT="text")
    assert process.stderr is not None
    lines = []
    while "running" not in (line := process.stderr.readline()):
        assert line, lines
        lines.append(line)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert_silent([(["up"], process.returncode, out + err + "".join(lines))])
