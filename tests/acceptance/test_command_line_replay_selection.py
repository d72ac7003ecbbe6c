"""`tracequeue replay` of some traces, from some time on, and from a spool that is damaged."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.fixtures.command import Command
from tests.fixtures.frames import ended, frame, span, started
from tracequeue.keys import dead_key, events_key
from tracequeue.outgoing import Outgoing
from tracequeue.spool.records import FILE_HEAD, encode

SRC = "c" * 32


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as made:
        yield made


def trace_of(pipeline: str, telegram_id: int, **changes: Any) -> list[dict[str, Any]]:
    """A start, a span and an end."""
    trace = started(pipeline_name=pipeline, telegram_id=telegram_id)
    shared = {name: trace[name] for name in ("trace_id", "start_time", "pipeline_name", "telegram_id")}
    return [trace, span(trace_id=trace["trace_id"], **changes), ended(**shared)]


def test_traces_of_a_pipeline_and_of_a_person(command: Command, client: redis.Redis, prefix: str) -> None:
    events = [event for pipeline in ("coach", "support") for number in (1, 2) for event in trace_of(pipeline, number)]
    client.xadd(events_key(prefix, 0), frame(*events, src=SRC))
    coach = command("replay", "--pipeline", "coach", "--json").document
    assert (coach["complete"], coach["written"], coach["left_out"]) == (True, 6, 6)
    assert coach["selection"] == 'pipeline "coach"'
    one = command("replay", "--pipeline", "support", "--telegram-id", "2", "--json").document
    assert (one["complete"], one["written"], one["left_out"]) == (True, 3, 9)
    shown = command("replay", "--telegram-id", "2")
    assert shown.code == 0
    assert "reading the source once to see whose its traces are" in shown.err
    everything = command("replay", "--json").document
    assert (everything["written"], everything["present"]) == (3, 9)


def test_dead_letters_of_a_pipeline_are_known_from_the_streams(
    command: Command, client: redis.Redis, prefix: str
) -> None:
    """A refused span does not say whose it is; the start of its trace is in the stream, if it was not trimmed."""
    refused = {"span_id": "short"}
    for pipeline in ("coach", "support"):
        client.xadd(events_key(prefix, 0), frame(*trace_of(pipeline, 1, **refused)))
    client.xadd(events_key(prefix, 0), frame(span(**refused)))
    assert command("worker", "--drain", "--json").document["dead_letters"] == 3
    report = command("replay", "--dead", "--pipeline", "coach", "--json").document
    assert (report["dead"], report["left_out"], report["shortfalls"]) == ({"schema": 1}, 2, [])
    assert client.xlen(dead_key(prefix, 0)) == 3


def test_spans_that_may_be_wanted_are_told_of(command: Command, client: redis.Redis, prefix: str) -> None:
    client.xadd(events_key(prefix, 0), frame(*trace_of("coach", 1), span(), src=SRC))
    answer = command("replay", "--pipeline", "coach")
    assert answer.code == 1
    assert "1 trace has neither a start nor an end in the source" in answer.out


def test_a_time_that_moves_is_told_so_that_the_replay_can_go_on(
    command: Command, client: redis.Redis, prefix: str
) -> None:
    client.xadd(events_key(prefix, 0), frame(span(), src=SRC))
    answer = command("replay", "--since", "2h", "--json")
    since = answer.err.partition("since ")[2].partition(":")[0]
    assert "to go on with this replay after an interruption, type these times" in answer.err
    assert answer.document["selection"].startswith(f"since {since}")
    (typed,) = [word for word in answer.document["selection"].split() if word != "since"]
    again = command("replay", "--since", typed, "--json")
    assert again.document["selection"] == answer.document["selection"]
    assert again.err == ""
    later = command("replay", "--since", "2100-01-01", "--json").document
    assert (later["complete"], later["frames"]) == (True, 0)


def test_a_damaged_spool_is_replayed_as_far_as_it_goes(command: Command, prefix: str, tmp_path: Path) -> None:
    content = bytearray(FILE_HEAD)
    ends = []
    for seq in (1, 2, 3):
        content += encode(Outgoing(events_key(prefix, 0), seq, 1, dict(frame(span(), src=SRC, seq=seq))))
        ends.append(len(content))
    content[ends[1] - 1] ^= 1
    (tmp_path / "left.spool").write_bytes(content)
    answer = command("replay", "--spool", str(tmp_path))
    assert answer.code == 1
    assert "1 of its frames cannot be read (1 events), the first is number 2" in answer.out
    assert "refused: 1 event: 1 undecodable" in answer.out
    assert os.listdir(tmp_path) == ["left.spool"]  # noqa: PTH208
    again = command("replay", "--spool", str(tmp_path), "--json").document
    assert (again["complete"], again["present"], again["dead"]) == (False, 2, {"undecodable": 1})
