"""Fault 29: the end before the start, the child before its parent, the stale after the fresh: order decides nothing."""

import random
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

from tests.fixtures.foreign import Producer
from tests.fixtures.frames import ended, span, started
from tests.fixtures.oracle import Site

COMPARED = (
    "status, success, duration_ms, pipeline_name, telegram_id, session_id, metadata::text, tags, error, span_count"
)


def whole_trace() -> list[dict[str, Any]]:
    """A start, an end that knows more, a parent and its child."""
    trace_id = str(uuid4())
    start = started(trace_id=trace_id, metadata={"plan": "pro"}, tags=["early"], session_id="s")
    end = ended(
        trace_id=trace_id, start_time=start["start_time"], metadata={"plan": "pro", "turns": 2},
        status="error", success=False, error="no", span_count=2,
    )  # fmt: skip
    parent = span(trace_id=trace_id)
    return [start, end, parent, span(trace_id=trace_id, parent_span_id=parent["span_id"])]


async def stored(site: Site) -> dict[UUID, tuple[Any, ...]]:
    rows = await site.fetch(f"SELECT trace_id, {COMPARED} FROM pipeline_traces")
    return {row["trace_id"]: tuple(row)[1:] for row in rows}


async def test_every_order_of_a_trace_makes_the_same_rows(site: Site) -> None:
    """Each event in a frame of its own; one worker takes them in batches, and then again event by event."""
    producer = Producer(site.redis, site.prefix)
    for batch_rows in (8_000, 1):
        for order in permutations(range(4)):
            events = whole_trace()
            for place in order:
                await producer.send(events[place])
        await site.drain(batch_rows=batch_rows)
    rows = await stored(site)
    assert (len(rows), len(set(map(str, rows.values())))) == (48, 1)
    await site.assert_account_closes(producer)


async def test_a_stale_event_after_a_fresh_one_changes_nothing(site: Site) -> None:
    producer = Producer(site.redis, site.prefix)
    traces = [whole_trace() for _ in range(10)]
    for events in traces:
        await producer.send(*events)
    await site.drain()
    before = await stored(site)
    late = [event for events in traces for event in events[:2]]
    random.Random(5).shuffle(late)
    for event in late:
        stale = event | {"metadata": None, "tags": None, "session_id": None, "telegram_id": 1}
        if event["type"] == "trace.ended":
            stale |= {"status": "ok", "success": True, "error": None, "span_count": 9, "duration_ms": 1.0}
        await producer.send(stale)
    await site.drain()
    assert await stored(site) == before
    await site.assert_account_closes(producer)


async def test_what_was_delivered_to_a_worker_that_died_comes_after_what_is_newer(site: Site) -> None:
    """The starts and parents stay with a consumer that is gone; the ends and children are stored first."""
    producer = Producer(site.redis, site.prefix)
    traces = [whole_trace() for _ in range(20)]
    for start, _, parent, _ in traces:
        await producer.send(start, parent)
    key = next(iter(await site.redis.keys(f"*{site.prefix}*:events")))
    await site.redis.xgroup_create(key, "persist", id="0")
    await site.redis.xreadgroup("persist", "dead-worker", {key: ">"}, count=1_000)
    for _, end, _, child in traces:
        await producer.send(child, end)
    await site.drain(batch_rows=10)
    rows = await stored(site)
    assert (len(rows), len(set(map(str, rows.values())))) == (20, 1)
    await site.assert_account_closes(producer)
