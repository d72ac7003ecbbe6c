"""The health port of a worker: alive while it moves or has nothing to do, ready while nothing is wrong."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest

from tests.fixtures.frames import frame, span, started
from tests.fixtures.ledger import LedgerSink
from tests.fixtures.oracle import LONGEST_SECONDS, Site
from tests.fixtures.polling import eventually
from tests.fixtures.probing import Reply, ask
from tests.fixtures.servers import free_port
from tracequeue.errors import SettingsError
from tracequeue.keys import dead_key, events_key
from tracequeue_worker import backoff, service
from tracequeue_worker.errors import Fatal, Transient
from tracequeue_worker.service import Stop, run

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers look soon whether something is wrong, and whether somebody cured it."""
    monkeypatch.setattr(backoff, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(service, "POLICY_SECONDS", 0.5)


@asynccontextmanager
async def serving(site: Site, sink: LedgerSink, **changes: object) -> AsyncIterator[int]:
    """A worker that stores in `sink`, until the block is left; gives its health port."""
    port, stop = free_port(), Stop()
    work = asyncio.create_task(run(site.settings(health_port=port, **changes), sink=sink, stop=stop))
    try:
        await eventually(lambda: answers(port))
        yield port
    finally:
        sink.gate.set()
        stop.ask()
        await work


async def answers(port: int) -> bool:
    """Whether the worker listens and has looked at the streams."""
    return "tracequeue_unread_frames" in (await ask(port, "/metrics")).body.decode()


async def becomes(port: int, path: str, status: int) -> Reply:
    async def reply() -> Reply | None:
        answer = await ask(port, path)
        return answer if answer.status == status else None

    return await eventually(reply)


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


async def test_metrics_tell_what_the_worker_did_and_what_waits(site: Site) -> None:
    key, emitter = events_key(site.prefix, 0), uuid4().hex
    await site.redis.xadd(key, frame(span(), span(), b"nonsense", src=emitter, seq=1))
    await site.redis.xadd(key, frame(span(), src=emitter, seq=2))
    await site.redis.xadd(key, frame(span(), src=emitter, seq=2))
    await site.redis.xadd(key, {"body": "\xff"})
    port = free_port()
    async with site.working(health_port=port):
        await eventually(site.settled)

        async def seen() -> dict[str, float] | None:
            samples = (await ask(port, "/metrics")).samples()
            return samples if samples.get("tracequeue_dead_letter_entries{partition=0}") == 3 else None

        samples = await eventually(seen)
    wanted = {
        "tracequeue_frames_total": 4, "tracequeue_events_total": 6, "tracequeue_rows_total": 3,
        "tracequeue_dead_letters_total{reason=seq_conflict}": 1, "tracequeue_seq_conflicts_total": 1,
        "tracequeue_dead_letters_total{reason=undecodable}": 2,
        "tracequeue_unread_frames{partition=0}": 0, "tracequeue_pending_frames{partition=0}": 0,
        "tracequeue_oldest_frame_seconds{partition=0}": 0, "tracequeue_consumers{partition=0}": 1,
        "tracequeue_in_flight_frames": 0, "tracequeue_frame_lag_seconds_count": 4,
    }  # fmt: skip
    assert {name: samples.get(name) for name in wanted} == wanted
    assert samples["tracequeue_write_seconds_count"] >= 1
    assert samples["tracequeue_settle_seconds_sum"] > 0
    assert samples["tracequeue_redis_memory_bytes"] > 0
    assert samples["process_resident_memory_bytes"] > 0


async def test_every_metric_is_in_the_documentation_and_the_other_way_round(site: Site) -> None:
    documented = set(re.findall(r"`(tracequeue_\w+)`", (ROOT / "docs/operations.md").read_text()))
    async with serving(site, LedgerSink()) as port:
        text = (await ask(port, "/metrics")).body.decode()
    families = re.findall(r"^# TYPE (tracequeue_\w+) \w+$", text, flags=re.MULTILINE)
    assert {name for name in families if not name.endswith("_created")} == documented


async def test_workers_of_one_process_have_metrics_of_their_own(site: Site) -> None:
    sinks = LedgerSink(), LedgerSink()
    async with serving(site, sinks[0]) as one, serving(site, sinks[1], prefix=f"{site.prefix}x") as other:
        await site.redis.xadd(events_key(site.prefix, 0), frame(span()))

        async def frames(port: int) -> float:
            return (await ask(port, "/metrics")).samples()["tracequeue_frames_total"]

        await eventually(lambda: frames(one))
        assert await frames(other) == 0


async def test_ten_thousand_pipelines_and_people_make_not_one_series_more(site: Site) -> None:
    async with serving(site, LedgerSink()) as port:
        key = events_key(site.prefix, 0)
        await site.redis.xadd(key, frame(started(), b"nonsense"))

        async def series(dead: int) -> set[str] | None:
            """Once so many dead letters are written, which comes last."""
            samples = (await ask(port, "/metrics")).samples()
            return set(samples) if samples.get("tracequeue_dead_letters_total{reason=undecodable}") == dead else None

        before = await eventually(lambda: series(1))
        for many in range(100):
            events = [
                started(pipeline_name=f"pipeline-{number}", telegram_id=number, session_id=f"chat-{number}")
                for number in range(many * 100, many * 100 + 100)
            ]
            await site.redis.xadd(key, frame(*events, b"nonsense"))
        assert await eventually(lambda: series(101), LONGEST_SECONDS) == before


async def test_a_drain_leaves_the_port_to_the_worker_that_has_it(site: Site) -> None:
    async with serving(site, LedgerSink()) as port:
        await run(site.settings(health_port=port), sink=LedgerSink(), drain=True)
        with pytest.raises(SettingsError, match=f"TRACEQUEUE_HEALTH_PORT={port}: .*choose another port"):
            await run(site.settings(health_port=port), sink=LedgerSink())
        assert (await ask(port, "/healthz")).status == 200
