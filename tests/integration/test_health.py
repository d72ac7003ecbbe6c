"""The health port of a worker: alive while it moves or has nothing to do, ready while nothing is wrong."""

import asyncio
import time
from datetime import datetime
from uuid import uuid4

import pytest

from tests.fixtures.frames import frame, span
from tests.fixtures.health import answers, becomes, serving
from tests.fixtures.ledger import LedgerSink
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.probing import ask
from tests.fixtures.servers import free_port
from tracequeue.errors import SettingsError
from tracequeue.keys import dead_key, events_key
from tracequeue_worker import backoff, service
from tracequeue_worker.errors import Fatal, Transient
from tracequeue_worker.service import Stop, run


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers look soon whether something is wrong, and whether somebody cured it."""
    monkeypatch.setattr(backoff, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(service, "POLICY_SECONDS", 0.5)


async def test_a_worker_with_nothing_to_do_is_alive_and_ready_however_long(site: Site) -> None:
    async with serving(site, LedgerSink(), stall_seconds=1) as port:

        async def silent_for_long() -> bool:
            moved_at = (await ask(port, "/metrics")).samples()["tracequeue_last_progress_timestamp_seconds"]
            return time.time() - moved_at > 2

        await eventually(silent_for_long)
        assert (await ask(port, "/healthz")).document == {"well": True, "reasons": []}
        assert (await ask(port, "/readyz")).document == {"well": True, "reasons": []}


async def test_frames_that_wait_while_nothing_moves_are_the_death_of_a_worker(site: Site) -> None:
    sink = LedgerSink()
    sink.gate.clear()
    async with serving(site, sink, stall_seconds=1) as port:
        assert (await ask(port, "/healthz")).status == 200
        await site.redis.xadd(events_key(site.prefix, 0), frame(span()))
        dead = await becomes(port, "/healthz", 503)
        assert dead.reasons["working"] == "stalled"
        sink.gate.set()
        await becomes(port, "/healthz", 200)
        await eventually(site.settled)
        assert (await ask(port, "/healthz")).status == 200


async def test_frames_in_the_hands_of_another_worker_are_not_ones_own_death(site: Site) -> None:
    busy, idle = LedgerSink(), LedgerSink()
    busy.gate.clear()
    async with serving(site, busy, stall_seconds=1) as busy_port:
        await site.redis.xadd(events_key(site.prefix, 0), frame(span()))
        await becomes(busy_port, "/healthz", 503)
        async with serving(site, idle, stall_seconds=1) as idle_port:

            async def seen_pending() -> bool:
                samples = (await ask(idle_port, "/metrics")).samples()
                long_ago = time.time() - samples["tracequeue_last_progress_timestamp_seconds"] > 2
                return long_ago and samples["tracequeue_pending_frames{partition=0}"] == 1

            await eventually(seen_pending)
            assert (await ask(idle_port, "/healthz")).status == 200


async def test_unread_frames_that_the_worker_has_no_room_for_count_too(site: Site) -> None:
    sink = LedgerSink()
    sink.gate.clear()
    async with serving(site, sink, stall_seconds=1, batch_rows=1) as port:
        for number in range(1, 301):
            await site.redis.xadd(events_key(site.prefix, 0), frame(span(), seq=number))

        async def unread() -> bool:
            return (await ask(port, "/metrics")).samples()["tracequeue_unread_frames{partition=0}"] > 0

        await eventually(unread)
        await becomes(port, "/healthz", 503)


async def test_a_failing_store_is_degraded_and_says_since_when(site: Site) -> None:
    before = time.time()
    async with serving(site, LedgerSink(*[Transient("the store is away")] * 5)) as port:
        await site.redis.xadd(events_key(site.prefix, 0), frame(span()))
        (reason,) = (await becomes(port, "/readyz", 503)).document["reasons"]
        assert [reason[name] for name in ("state", "what", "why")] == [
            "degraded", "writing to the store", "the store is away",
        ]  # fmt: skip
        assert before < datetime.fromisoformat(reason["since"]).timestamp() < time.time()
        samples = (await ask(port, "/metrics")).samples()
        assert samples["tracequeue_trouble{operation=write}{state=degraded}"] == 1
        assert samples["tracequeue_trouble{operation=write}{state=held}"] == 0
        assert (await ask(port, "/healthz")).status == 200
        await becomes(port, "/readyz", 200)
        samples = (await ask(port, "/metrics")).samples()
        assert samples["tracequeue_failures_total{operation=write}"] == 5
        assert samples["tracequeue_trouble{operation=write}{state=degraded}"] == 0


async def test_what_needs_a_person_is_held_with_the_cure(site: Site) -> None:
    async with serving(site, LedgerSink(*[Fatal("no such table: run `tracequeue migrate`")] * 3)) as port:
        await site.redis.xadd(events_key(site.prefix, 0), frame(span()))
        (reason,) = (await becomes(port, "/readyz", 503)).document["reasons"]
        assert (reason["state"], reason["why"]) == ("held", "no such table: run `tracequeue migrate`")
        samples = (await ask(port, "/metrics")).samples()
        assert samples["tracequeue_trouble{operation=write}{state=held}"] == 1
        await becomes(port, "/readyz", 200)


async def test_dead_letters_that_cannot_be_written_are_said(site: Site) -> None:
    async with serving(site, LedgerSink()) as port:
        await site.redis.set(dead_key(site.prefix, 0), "no stream")
        await site.redis.xadd(events_key(site.prefix, 0), {"body": "nonsense"})
        assert (await becomes(port, "/readyz", 503)).reasons["writing dead letters"] == "held"
        await site.redis.delete(dead_key(site.prefix, 0))
        await becomes(port, "/readyz", 200)


async def test_a_producer_that_the_store_refuses_is_named_and_does_not_kill_the_worker(site: Site) -> None:
    await site.fetch("ALTER TABLE pipeline_spans ADD CONSTRAINT no_bad CHECK (span_name <> 'bad') NOT VALID")
    key, bad, port = events_key(site.prefix, 0), uuid4().hex, free_port()
    async with site.working(health_port=port, stall_seconds=1) as report:
        await eventually(lambda: answers(port))
        for seq in range(1, 6):
            await site.redis.xadd(key, frame(*(span(span_name="bad") for _ in range(60)), src=bad, seq=seq))

        async def why() -> str | None:
            reasons = (await ask(port, "/readyz")).document["reasons"]
            held = [one["why"] for one in reasons if (one["state"], one["what"]) == ("held", f"records of bot {bad}")]
            return held[0] if held else None

        assert "no_bad" in await eventually(why)
        samples = (await ask(port, "/metrics")).samples()
        assert samples["tracequeue_held_producers"] == 1
        assert samples["tracequeue_held_frames"] > 0

        async def silent_for_long() -> bool:
            moved_at = (await ask(port, "/metrics")).samples()["tracequeue_last_progress_timestamp_seconds"]
            return time.time() - moved_at > 2

        await eventually(silent_for_long)
        assert (await ask(port, "/healthz")).status == 200
        before = report.frames
        await site.redis.xadd(key, frame(span()))
        await eventually(lambda: report.frames > before)
        await site.fetch("ALTER TABLE pipeline_spans DROP CONSTRAINT no_bad")
        await becomes(port, "/readyz", 200)
        await eventually(site.settled)


async def test_a_policy_that_begins_to_evict_is_seen(site: Site) -> None:
    async with serving(site, LedgerSink()) as port:
        await site.redis.config_set("maxmemory-policy", "allkeys-lru")
        try:
            (reason,) = (await becomes(port, "/readyz", 503)).document["reasons"]
        finally:
            await site.redis.config_set("maxmemory-policy", "noeviction")
        assert (reason["state"], "CONFIG SET maxmemory-policy noeviction" in reason["why"]) == ("held", True)
        await becomes(port, "/readyz", 200)


async def test_a_worker_that_was_asked_to_stop_is_alive_and_not_ready(site: Site) -> None:
    sink, stop, port = LedgerSink(), Stop(), free_port()
    sink.gate.clear()
    work = asyncio.create_task(run(site.settings(health_port=port), sink=sink, stop=stop))
    await site.redis.xadd(events_key(site.prefix, 0), frame(span()))
    await eventually(lambda: answers(port))

    async def read() -> bool:
        return (await ask(port, "/metrics")).samples()["tracequeue_in_flight_frames"] == 1

    await eventually(read)
    stop.ask()
    assert (await becomes(port, "/readyz", 503)).reasons == {"working": "stopping"}
    assert (await ask(port, "/healthz")).status == 200
    sink.gate.set()
    await work
    assert (await ask(port, "/healthz")).status == 0


async def test_a_drain_leaves_the_port_to_the_worker_that_has_it(site: Site) -> None:
    async with serving(site, LedgerSink()) as port:
        await run(site.settings(health_port=port), sink=LedgerSink(), drain=True)
        with pytest.raises(SettingsError, match=f"TRACEQUEUE_HEALTH_PORT={port}: .*choose another port"):
            await run(site.settings(health_port=port), sink=LedgerSink())
        assert (await ask(port, "/healthz")).status == 200
