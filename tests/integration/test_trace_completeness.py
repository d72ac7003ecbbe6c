"""What a trace says of itself when something of it is missing: what, and why."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.fixtures.frames import ended, frame, ndjson, span, started
from tests.fixtures.oracle import Site
from tracequeue.keys import dead_key, events_key
from tracequeue_worker.database import create_pool
from tracequeue_worker.read_models import Trace
from tracequeue_worker.repo import TraceRepo


@pytest.fixture
async def repo(site: Site) -> AsyncIterator[TraceRepo]:
    pool = await create_pool(site.settings(), role="tracequeue_reader", size=1)
    yield TraceRepo(pool)
    pool.terminate()


class Emitter:
    """Sends frames of one trace by hand, so that each may be lost, refused or late."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.trace_id = str(uuid4())
        self._start = time.time_ns() // 1000
        self._src = uuid4().hex
        self._seq = 0

    def start(self) -> dict[str, Any]:
        return started(trace_id=self.trace_id, start_time=self._start)

    def span(self, **changes: Any) -> dict[str, Any]:
        return span(trace_id=self.trace_id, **changes)

    def end(self, spans: int, **changes: Any) -> dict[str, Any]:
        end = {"start_time": self._start, "end_time": self._start + 2500, "span_count": spans}
        return ended(trace_id=self.trace_id, **end | changes)

    async def send(self, *events: dict[str, Any], lost: bool = False) -> None:
        """One frame, stored by a worker unless it is lost on the way."""
        self._seq += 1
        key = events_key(self.site.prefix, 0)
        entry_id = await self.site.redis.xadd(key, frame(*events, src=self._src, seq=self._seq))
        if lost:
            await self.site.redis.xdel(key, entry_id)
        await self.site.drain()

    async def silence(self) -> None:
        """As if it had been silent, and its rows there, for ten minutes."""
        await self.site.fetch("UPDATE pipeline_emitters SET last_seen = now() - interval '10 minutes'")
        await self.site.fetch(
            "UPDATE pipeline_traces SET created_at = now() - interval '10 minutes', "
            "end_time = end_time - interval '10 minutes'"
        )


@pytest.fixture
def emitter(site: Site) -> Emitter:
    return Emitter(site)


async def standing(repo: TraceRepo, emitter: Emitter) -> tuple[str, str, str | None]:
    trace = await repo.get_trace(UUID(emitter.trace_id))
    assert isinstance(trace, Trace)
    return trace.state, trace.completeness, trace.missing


async def test_a_dead_letter_is_named_and_forgotten_once_it_was_retried(
    site: Site, repo: TraceRepo, emitter: Emitter
) -> None:
    bad = emitter.span(start_time=-1)
    await emitter.send(emitter.start(), emitter.span(), bad, emitter.end(2))
    assert await standing(repo, emitter) == ("ok", "partial", "1 in dead letters (time_range)")
    letter = (await site.redis.xrange(dead_key(site.prefix, 0)))[0][1]
    good = frame(emitter.start(), emitter.span(), emitter.span(), emitter.end(2))
    fields = good | {b"src": letter[b"src"], b"seq": letter[b"seq"], b"retry": b"[%s]" % letter[b"index"]}
    await site.redis.xadd(events_key(site.prefix, 0), fields)
    await site.drain()
    assert await standing(repo, emitter) == ("ok", "complete", None)


async def test_a_span_that_the_store_refuses_is_a_dead_letter_of_its_trace(
    site: Site, repo: TraceRepo, emitter: Emitter
) -> None:
    await site.fetch("ALTER TABLE pipeline_spans ADD CONSTRAINT no_poison CHECK (span_name <> 'poison')")
    await emitter.send(emitter.start(), emitter.span(span_name="poison"), emitter.span(), emitter.end(2))
    assert await standing(repo, emitter) == ("ok", "partial", "1 in dead letters (store:23514)")


async def test_an_end_in_a_dead_letter_is_told_while_the_bot_lives(repo: TraceRepo, emitter: Emitter) -> None:
    await emitter.send(emitter.start(), emitter.end(0, status="splendid"))
    assert await standing(repo, emitter) == ("running", "partial", "1 in dead letters (schema)")
    await emitter.silence()
    expected = "the emitter went silent; 1 in dead letters (schema)"
    assert await standing(repo, emitter) == ("abandoned", "partial", expected)


async def test_a_start_in_a_dead_letter_is_not_missed(repo: TraceRepo, emitter: Emitter) -> None:
    await emitter.send(emitter.start() | {"tags": 5}, emitter.span(), emitter.end(1))
    assert await standing(repo, emitter) == ("ok", "complete", None)


async def test_a_start_that_was_lost_is_not_missed(repo: TraceRepo, emitter: Emitter) -> None:
    await emitter.send(emitter.start(), lost=True)
    await emitter.send(emitter.span(), emitter.end(1))
    assert await standing(repo, emitter) == ("ok", "complete", None)


async def test_a_lost_frame_of_spans_is_waited_for_and_then_told(repo: TraceRepo, emitter: Emitter) -> None:
    await emitter.send(emitter.start(), emitter.span())
    await emitter.send(emitter.span(), emitter.span(), lost=True)
    await emitter.send(emitter.end(3))
    assert await standing(repo, emitter) == ("ok", "in flight", None)
    await emitter.silence()
    assert await standing(repo, emitter) == ("ok", "partial", "2 of 3 spans were not stored")


async def test_a_trace_whose_end_never_came_is_abandoned_once_its_emitter_is_silent(
    repo: TraceRepo, emitter: Emitter
) -> None:
    await emitter.send(emitter.start(), emitter.span())
    assert await standing(repo, emitter) == ("running", "in flight", None)
    await emitter.silence()
    assert await standing(repo, emitter) == ("abandoned", "partial", "the emitter went silent")


async def test_drops_of_the_emitter_are_told_and_a_dropped_start_is_not_missed(
    repo: TraceRepo, emitter: Emitter
) -> None:
    await emitter.send(emitter.span(), emitter.end(4, dropped={"buffer_full": 2, "internal": 1}))
    assert await standing(repo, emitter) == ("ok", "partial", "3 dropped by the emitter (buffer_full, internal)")
    other = Emitter(emitter.site)
    await other.send(other.span(), other.end(1, dropped={"buffer_full": 1}))
    assert await standing(repo, other) == ("ok", "complete", None)


async def test_all_reasons_at_once(repo: TraceRepo, emitter: Emitter) -> None:
    await emitter.send(emitter.start(), emitter.span(), emitter.span(duration_ms=-1))
    await emitter.send(emitter.end(5, dropped={"buffer_full": 1}))
    await emitter.silence()
    assert await standing(repo, emitter) == (
        "ok",
        "partial",
        "1 dropped by the emitter (buffer_full); 1 in dead letters (schema); 2 of 5 spans were not stored",
    )


async def test_a_trace_id_that_is_none_is_nobodys_dead_letter(site: Site, repo: TraceRepo, emitter: Emitter) -> None:
    odd: list[Any] = [{"trace_id": 5}, {"trace_id": "no"}, {"trace_id": None}, [1], 5, "x", {}]
    body = ndjson(*odd, b"[" * 2000, b'{"trace_id": "\xff"}')
    await site.redis.xadd(events_key(site.prefix, 0), {"body": body})
    await emitter.send(emitter.start(), emitter.end(0))
    assert await standing(repo, emitter) == ("ok", "complete", None)
    (row,) = await site.fetch("SELECT dead FROM pipeline_frames WHERE seq = 0")
    assert not any("trace_id" in one for one in json.loads(row["dead"]))
