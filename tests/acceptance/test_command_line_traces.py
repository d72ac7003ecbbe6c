"""`tracequeue traces` and `tracequeue trace`: what is listed, and one trace as a tree."""

from typing import Any
from uuid import UUID, uuid4

import pytest
import redis

from tests.fixtures.bot import collecting, two_traces
from tests.fixtures.command import Command
from tests.fixtures.frames import frame, span
from tracequeue import TraceContext
from tracequeue.keys import events_key


@pytest.fixture
def stored(command: Command, redis_url: str, prefix: str) -> tuple[UUID, UUID]:
    """A good trace and a failed one, stored by a worker."""
    ids = two_traces(redis_url, prefix)
    assert command("worker", "--drain").code == 0
    return ids


@pytest.mark.usefixtures("stored")
def test_traces_are_filtered(command: Command) -> None:
    found = {}
    for options in (
        "", "--failed", "--pipeline support", "--pipeline suppor", "--telegram-id 43", "--limit 1", "--since 5m",
        "--since 2026-01-01", "--since 2026-01-01T10:00+02:00", "--until 1h", "--until 2020-01-01",
    ):  # fmt: skip
        answer = command("traces", *options.split(), "--json")
        assert answer.code == 0
        found[options] = [trace["pipeline_name"] for trace in answer.document]
    assert found == {
        "": ["learn", "support"],
        "--failed": ["learn"],
        "--pipeline support": ["support"],
        "--pipeline suppor": [],
        "--telegram-id 43": ["learn"],
        "--limit 1": ["learn"],
        "--since 5m": ["learn", "support"],
        "--since 2026-01-01": ["learn", "support"],
        "--since 2026-01-01T10:00+02:00": ["learn", "support"],
        "--until 1h": [],
        "--until 2020-01-01": [],
    }


def test_the_table_of_traces_has_a_line_for_each_and_nothing_that_commands_a_terminal(
    command: Command, stored: tuple[UUID, UUID]
) -> None:
    answer = command("traces")
    head, *lines = answer.out.splitlines()
    assert head.split()[:2] == ["trace", "pipeline"]
    assert [line.split()[0] for line in lines] == [str(stored[1]), str(stored[0])]
    assert "\x1b" not in answer.out
    assert all(line == line.rstrip() and len(line) < 200 for line in (head, *lines))
    nothing = command("traces", "--pipeline", "none")
    assert (nothing.code, "tracequeue status" in nothing.err) == (0, True)


def test_a_trace_is_a_tree_with_its_agents_side_by_side(command: Command, stored: tuple[UUID, UUID]) -> None:
    document = command("trace", str(stored[0]), "--json").document
    assert shape(document["spans"]) == {
        "agent:memory": {"db:lookup": {}},
        "agent:strategist": {},
        "agent:trainer": {"llm:claude": {}},
    }
    agents = {one["span_name"]: one for one in document["spans"]}
    memory, strategist = agents["agent:memory"], agents["agent:strategist"]
    assert memory["start_time"] < strategist["end_time"]
    assert strategist["start_time"] < memory["end_time"]
    assert agents["agent:trainer"]["start_time"] >= max(memory["end_time"], strategist["end_time"])
    assert agents["agent:trainer"]["input_data"] == {"text": "hello"}
    assert (document["state"], document["completeness"], document["span_count"]) == ("ok", "complete", 5)


def test_the_printed_tree_shows_order_depth_and_failures(command: Command, stored: tuple[UUID, UUID]) -> None:
    good, failed = (command("trace", str(trace_id)).out for trace_id in stored)
    assert [line.partition("  ok")[0] for line in good.splitlines()[1:]] == [
        "├── agent:memory", "│   └── db:lookup", "├── agent:strategist", "└── agent:trainer", "    └── llm:claude",
    ]  # fmt: skip
    assert failed.splitlines()[-1].startswith("    └── llm:claude  error  ")
    assert "ConnectionError: no \\x1b[31mcapacity at all" in failed
    payloads = command("trace", str(stored[0]), "--io").out
    assert "in  {'text': 'hello'}" in payloads
    assert "out HELLO" in payloads


def test_a_linked_trace_says_from_which_it_was_called(command: Command, redis_url: str, prefix: str) -> None:
    caller = uuid4()
    with collecting(redis_url, prefix):
        header = f"00-{caller.hex}-00000000000000aa-01"
        with TraceContext("callee", traceparent=header) as callee:
            pass
    command("worker", "--drain")
    assert command("trace", str(callee.trace_id)).out.rstrip().endswith(f"from {caller}")


def test_a_trace_that_is_not_there_is_a_no(command: Command) -> None:
    unknown = str(uuid4())
    answer = command("trace", unknown, "--json")
    assert (answer.code, answer.out, answer.err) == (1, "", f"trace {unknown} is not stored\n")


def test_spans_without_their_trace_are_mentioned(command: Command, redis_url: str, prefix: str) -> None:
    orphan = span()
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(events_key(prefix, 0), frame(orphan))
    command("worker", "--drain")
    answer = command("trace", orphan["trace_id"])
    assert (answer.code, "is not stored, but 1 span of it" in answer.err) == (1, True)


def shape(spans: list[dict[str, Any]]) -> dict[str, Any]:
    """Only the names, nested."""
    return {one["span_name"]: shape(one["children"]) for one in spans}
