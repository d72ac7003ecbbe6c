"""The spool against a real Redis and a real disk: what Redis cannot take waits there, and arrives once it can."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.fixtures.polling import eventually_sync
from tracequeue import EmitterSettings, TraceCollector, TraceContext, span
from tracequeue import collector as process
from tracequeue.frame import Frame, unpack
from tracequeue.keys import events_key

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def blocked(redis_url: str, prefix: str) -> Iterator[Any]:
    """Redis refuses the stream until this is called."""
    with redis.Redis.from_url(redis_url) as client:
        client.set(events_key(prefix, 0), "not a stream")
        yield lambda: client.delete(events_key(prefix, 0))


@pytest.fixture
def make(redis_url: str, prefix: str, folder: Path) -> Iterator[Any]:
    """Makes the process's collector with a spool."""
    made: list[TraceCollector] = []

    def collector(**settings: Any) -> TraceCollector:
        own = {"redis_url": redis_url, "prefix": prefix, "linger_ms": 0, "spool_dir": folder}
        made.append(TraceCollector(EmitterSettings(**(own | settings))))
        process.use(made[-1])
        return made[-1]

    yield collector
    for one in made:
        one.stop_sync(0)
    process.use(None)


def frames(redis_url: str, prefix: str) -> list[Frame]:
    with redis.Redis.from_url(redis_url) as client:
        return [unpack(fields) for _, fields in client.xrange(events_key(prefix, 0))]


def trace(spans: int = 0) -> None:
    with TraceContext("learn"):
        for number in range(spans):
            with span("step") as step:
                step.set_output(number)


def test_what_redis_refuses_goes_to_disk_and_arrives_when_it_takes_it(
    make: Any, blocked: Any, folder: Path, redis_url: str, prefix: str
) -> None:
    collector = make()
    trace(spans=10)
    eventually_sync(lambda: collector.stats().spooled == 12)
    assert collector.stats().buffered == 0
    assert not collector.flush_sync(0)
    assert [path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())] == [0o700, 0o600]
    blocked()
    assert collector.flush_sync(30)
    trace()
    stats = collector.stop_sync(30)
    assert (stats.emitted, stats.published, stats.spooled, stats.complete) == (14, 14, 0, True)
    assert not list(folder.iterdir())
    seen = frames(redis_url, prefix)
    assert {frame.seq for frame in seen} == set(range(1, max(frame.seq for frame in seen) + 1))
    assert max(frame.account.spooled for frame in seen if frame.account) == 12


def test_what_a_stop_leaves_the_next_process_life_sends(
    make: Any, folder: Path, redis_url: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = make(redis_url=NOWHERE)
    trace(spans=100)
    stats = first.stop_sync(30)
    assert (stats.emitted, stats.spooled, stats.buffered, stats.published) == (102, 102, 0, 0)
    assert not stats.complete
    assert f"102 on disk in {folder}" in caplog.text
    second = make()
    second.start_sync()
    eventually_sync(lambda: not list(folder.iterdir()))
    assert sum(len(frame.lines) for frame in frames(redis_url, prefix)) == 102
    assert second.stop_sync(30).emitted == 0
    senders = {frame.emitter_id.hex for frame in frames(redis_url, prefix) if frame.emitter_id and frame.lines}
    assert senders == {first.identity.emitter_id}
