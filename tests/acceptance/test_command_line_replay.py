"""`tracequeue replay` as it is typed: from where to where, what it prints, and how it ends."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis

from tests.fixtures.command import Command
from tests.fixtures.frames import ended, frame, span, started
from tests.fixtures.postgres import EMPTY, database
from tracequeue.keys import events_key

EMITTER = uuid4()
SPANS = 40
DAY = 86_400_000_000
OLD = 1_262_347_200_000_000
"""2010-01-01 12:00 UTC."""


@pytest.fixture
def stream(redis_url: str, prefix: str) -> str:
    """The key of a stream with four frames of three old days: a trace with ten spans in each."""
    key = events_key(prefix, 0)
    with redis.Redis.from_url(redis_url) as client:
        for seq in range(1, 5):
            start = OLD + seq // 2 * DAY
            trace = {"trace_id": str(uuid4()), "start_time": start, "telegram_id": seq}
            spans = [span(trace_id=trace["trace_id"], start_time=start, end_time=start + 5) for _ in range(10)]
            end = ended(**trace, end_time=start + 9, span_count=10)
            client.xadd(key, frame(started(**trace), *spans, end, src=EMITTER.hex, seq=seq))
    return key


@pytest.fixture
def target(postgres_url: str) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    with database(postgres_url, EMPTY) as url:
        yield url


def groups(redis_url: str, key: str) -> object:
    with redis.Redis.from_url(redis_url) as client:
        return client.xinfo_groups(key)


def test_an_empty_database_is_filled_and_everything_is_there(
    command: Command, redis_url: str, stream: str, target: str
) -> None:
    before = groups(redis_url, stream)
    answer = command("replay", "--to", target, "--migrate")
    assert answer.code == 0, answer
    assert groups(redis_url, stream) == before
    lines = answer.out.splitlines()
    assert lines[-1] == "complete: all that the source holds is in the target"
    assert ["4", "48", "48", "0", "0"] in [line.split() for line in lines]
    assert [line.split()[:4] for line in lines if line.startswith("2010-01-02")] == [
        ["2010-01-02", "starts", "2", "2"], ["2010-01-02", "spans", "20", "20"], ["2010-01-02", "ends", "2", "2"],
    ]  # fmt: skip
    assert all(line.endswith("equal") for line in lines if line.startswith("2010"))
    assert "tracequeue:tracequeue" not in answer.out + answer.err
    digests = command("audit", "--digests", TRACEQUEUE_DATABASE_URL=target)
    assert command("replay", "--json", TRACEQUEUE_DATABASE_URL=target).document["present"] == 48
    assert command("audit", "--digests", TRACEQUEUE_DATABASE_URL=target) == digests
