"""`tracequeue demo` and `tracequeue up` with their embedded servers: honest, repeatable, and gone afterwards."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fixtures.command import Answer, Command
from tests.fixtures.polling import eventually_sync
from tests.fixtures.processes import using

BOT = """
from tracequeue import TraceContext, init_collector, traced_span

@traced_span("agent:echo")
def echo(text): return text

collector = init_collector(service="outside")
with TraceContext("support") as trace:
    echo("hello")
assert collector.stop_sync(30).complete
print(trace.trace_id)
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder for embedded servers; at the end nothing that uses it may live."""
    folder = tmp_path / "data"
    yield folder
    left = using(folder)
    for process in left:
        process.kill()
    assert left == []


def test_the_demo_shows_the_whole_way_twice_in_one_folder(alone: Command, data_dir: Path) -> None:
    for _ in range(2):
        answer = alone("demo", "--json", "--data-dir", str(data_dir))
        assert using(data_dir) == []
        seen = answer.document
        assert (answer.code, seen["closes"], seen["incomplete"]) == (0, True, 0), answer
        assert_the_account_closes(seen)
        assert_the_tree_is_right(seen["examples"])
        assert_the_poison_is_alone(seen["dead_letter"])
        assert seen["killed"]["frames_in_hand"] > 0
    assert "0 migrations applied" in answer.err


def test_the_demo_prints_what_it_shows(alone: Command, data_dir: Path) -> None:
    answer = alone("demo", "--data-dir", str(data_dir))
    assert answer.code == 0, answer
    assert "    └── llm:claude  ok  " in answer.out
    assert "support_regen" in answer.out
    assert '"span_name": "foreign:poison"' in answer.out
    assert "every event is accounted for" in answer.err
    assert all(line == line.rstrip() for line in answer.out.splitlines())


def test_the_demo_that_is_interrupted_leaves_nothing_running(alone: Command, data_dir: Path) -> None:
    demo = alone.start("demo", "--data-dir", str(data_dir))
    eventually_sync(lambda: any("demo.bot" in command for command in commands_of_children(demo)))
    demo.send_signal(signal.SIGINT)
    out, err = demo.communicate()
    assert (demo.returncode, out, "Traceback" in err) == (130, "", False), err


def test_up_serves_a_bot_until_it_is_interrupted(alone: Command, data_dir: Path) -> None:
    up = alone.start("up", "--workers", "2", "--data-dir", str(data_dir))
    try:
        urls = exports(up)
        bot = subprocess.run(
            [sys.executable, "-c", BOT], env=alone.environment | urls, check=True, capture_output=True, text=True
        )
        trace_id = bot.stdout.strip()
        tree = eventually_sync(lambda: complete(alone("trace", trace_id, "--json", **urls)))
        assert [one["span_name"] for one in tree["spans"]] == ["agent:echo"]
        assert (tree["service"], tree["state"]) == ("outside", "ok")
    finally:
        up.send_signal(signal.SIGINT)
        out, err = up.communicate()
    assert (up.returncode, out, "Traceback" in err) == (130, "", False), err
    assert using(data_dir) == []


def test_up_stops_as_clean_at_sigterm_and_keeps_the_data(alone: Command, data_dir: Path) -> None:
    for interruptible in (True, False):
        with sigint(signal.default_int_handler if interruptible else signal.SIG_IGN):
            up = alone.start("up", "--json", "--data-dir", str(data_dir))
        assert up.stdout is not None
        assert json.loads(up.stdout.readline()).keys() == {"TRACEQUEUE_REDIS_URL", "TRACEQUEUE_DATABASE_URL"}
        up.terminate()
        _, err = up.communicate()
        assert "Traceback" not in err
        assert using(data_dir) == []


def test_a_second_up_in_the_folder_is_refused(alone: Command, data_dir: Path) -> None:
    first = alone.start("up", "--data-dir", str(data_dir))
    try:
        exports(first)
        second = alone("up", "--data-dir", str(data_dir))
        assert (second.code, second.out) == (3, "")
        assert "in use" in second.err
    finally:
        first.terminate()
        first.communicate()


@contextmanager
def sigint(handler: Any) -> Iterator[None]:
    """What children inherit: in the background of a script they start with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def commands_of_children(process: "subprocess.Popen[str]") -> Iterator[str]:
    """Of all that it started and that lives; one may end while it is looked at."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):
            yield " ".join(child.cmdline())


def exports(up: "subprocess.Popen[str]") -> dict[str, str]:
    """The two lines that a shell can run, as variables."""
    assert up.stdout is not None
    lines = [up.stdout.readline() for _ in range(2)]
    pairs = [line.strip().removeprefix("export ").split("=", 1) for line in lines]
    return {name: value.strip("'") for name, value in pairs}


def complete(answer: Answer) -> Any:
    if answer.code != 0:
        return None
    return answer.document if answer.document["completeness"] == "complete" else None


def assert_the_account_closes(seen: dict[str, Any]) -> None:
    account = seen["account"]
    assert account["emitted"] == seen["bot"]["emitted"] > 2000
    assert account["persisted"] + account["dead"] + sum(account["lost"].values()) == account["emitted"]
    assert account["in_flight"] == 0


def assert_the_tree_is_right(examples: list[dict[str, Any]]) -> None:
    good, failed = examples
    agents = {span["span_name"]: span for span in good["spans"]}
    assert agents.keys() == {"agent:memory", "agent:strategist", "agent:trainer"}
    assert [child["span_name"] for child in agents["agent:trainer"]["children"]] == ["llm:claude"]
    memory, strategist = agents["agent:memory"], agents["agent:strategist"]
    assert memory["start_time"] < strategist["end_time"]
    assert strategist["start_time"] < memory["end_time"]
    assert (failed["pipeline_name"], failed["state"]) == ("support_regen", "error")


def assert_the_poison_is_alone(letter: dict[str, Any]) -> None:
    assert (letter["reason"], letter["index"]) == ("schema", 1)
    assert json.loads(letter["content"])["span_name"] == "foreign:poison"
