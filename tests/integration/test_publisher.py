"""The emitter against a real Redis: frames arrive whole and numbered, whatever Redis does meanwhile."""

import asyncio
from typing import Any

import pytest
import redis

from tests.fixtures.arrived import events, frames
from tests.fixtures.polling import eventually, eventually_sync
from tests.fixtures.servers import free_port
from tracequeue import EmitterSettings, TraceCollector, TraceContext, delivery, outage, span, traced_span
from tracequeue import collector as process
from tracequeue.buffer import CHUNK_BYTES
from tracequeue.keys import events_key, partition_of
from tracequeue.linger import CREDIT


@pytest.fixture
def settings(redis_url: str, prefix: str) -> EmitterSettings:
    return EmitterSettings(redis_url=redis_url, prefix=prefix, linger_ms=5, service="tests")


@pytest.fixture
def collector(settings: EmitterSettings) -> Any:
    made = TraceCollector(settings)
    process.use(made)
    yield made
    made.stop_sync(1)
    process.use(None)


@pytest.fixture
def patient(settings: EmitterSettings) -> Any:
    """A collector that waits for a minute once it has sent often."""
    made = TraceCollector(settings.model_copy(update={"linger_ms": 60_000}))
    process.use(made)
    yield made
    made.stop_sync(1)
    process.use(None)


async def test_with_many_partitions_no_more_is_made_ahead_than_with_one(prefix: str) -> None:
    away = EmitterSettings(redis_url=f"redis://127.0.0.1:{free_port()}/0", prefix=prefix, partitions=32, linger_ms=1)
    made = TraceCollector(away)
    process.use(made)
    try:
        for failures in (2, 4):
            for _ in range(400):
                with TraceContext("learn"):
                    pass
            await eventually(lambda least=failures: made._publisher._delivery.outage._failures >= least)
        assert {len(lane.outbox) for lane in made._lanes} == {1}
    finally:
        made.stop_sync(0.1)
        process.use(None)


async def test_events_arrive_in_numbered_frames_and_the_account_closes(
    collector: TraceCollector, redis_url: str, prefix: str
) -> None:
    for number in range(2000):
        async with TraceContext("learn", telegram_id=number):
            with span("step") as step:
                step.set_output("x" * 500)
    stats = await collector.stop()
    assert stats.complete
    assert stats.emitted == stats.published == 6000
    seen = frames(redis_url, prefix)
    assert [frame.seq for frame in seen] == list(range(1, len(seen) + 1))
    assert sum(len(frame.lines) for frame in seen) == 6000
    last = seen[-1]
    assert not last.lines
    assert last.account is not None
    assert last.account.emitted == 6000
    assert last.meta["service"] == "tests"
    assert len({frame.emitter_id for frame in seen}) == 1


async def test_an_event_is_sent_without_stop_or_flush(collector: TraceCollector, redis_url: str, prefix: str) -> None:
    with TraceContext("learn"):
        await eventually(lambda: len(events(redis_url, prefix)) == 1)
    await eventually(lambda: len(events(redis_url, prefix)) == 2)


async def test_after_a_pause_an_event_does_not_wait_for_company(patient: TraceCollector, redis_url: str) -> None:
    with TraceContext("learn"):
        await eventually(lambda: len(events(redis_url, patient.settings.prefix)) == 1)
    await eventually(lambda: len(events(redis_url, patient.settings.prefix)) == 2)


async def test_while_much_is_sent_frames_are_full(patient: TraceCollector, redis_url: str) -> None:
    """What is behind a full chunk, or comes while it is sent, is not sent alone."""
    prefix = patient.settings.prefix
    with TraceContext("learn"):
        for number in range(CREDIT):
            await eventually(lambda sent=number: patient.stats().published == sent + 1)
            with span("alone"):
                pass
        for _ in range(2_000):
            with span("step") as step:
                step.set_output("x" * 1_000)
            await asyncio.sleep(0)
        await eventually(lambda: patient.stats().published > 1_700)
        sizes = [len(frame.lines) for frame in frames(redis_url, prefix)]
        assert sizes[:CREDIT] == [1] * CREDIT
        assert min(sizes[CREDIT:]) > CHUNK_BYTES // 2_000
    assert await patient.flush()


async def test_what_is_behind_a_full_chunk_is_sent_though_nothing_comes_after_it(
    settings: EmitterSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "HEARTBEAT_SECONDS", 3600)
    collector = TraceCollector(settings.model_copy(update={"linger_ms": 500}))
    process.use(collector)
    try:
        with TraceContext("learn"):
            for number in range(CREDIT):
                await eventually(lambda sent=number: collector.stats().published == sent + 1)
                with span("alone"):
                    pass
            for _ in range(2 * CHUNK_BYTES // 1_500):
                with span("step") as step:
                    step.set_output("x" * 1_000)
            await eventually(lambda: collector.stats().buffered == 0)
    finally:
        collector.stop_sync(1)
        process.use(None)


async def test_what_comes_after_the_stop_is_counted(collector: TraceCollector, redis_url: str, prefix: str) -> None:
    with TraceContext("learn"):
        assert (await collector.stop()).emitted == 1
        with span("late"):
            pass
    assert collector.stats().dropped == {"stopped": 2}
    assert collector.stats().buffered == 0
    assert len(events(redis_url, prefix)) == 1
    with TraceContext("later"):
        pass
    assert collector.stats().emitted == 3


async def test_flush_says_whether_redis_holds_everything(collector: TraceCollector) -> None:
    with TraceContext("learn"):
        pass
    assert await collector.flush()
    assert collector.stats().published == 2


async def test_partitions_keep_a_trace_together(redis_url: str, prefix: str) -> None:
    collector = TraceCollector(EmitterSettings(redis_url=redis_url, prefix=prefix, partitions=3))
    process.use(collector)
    for _ in range(60):
        with TraceContext("learn"), span("step"):
            pass
    assert (await collector.stop()).complete
    process.use(None)
    by_partition = [{event["trace_id"] for event in events(redis_url, prefix, number)} for number in range(3)]
    assert all(by_partition)
    assert sum(map(len, by_partition)) == 60
    for number in range(3):
        seqs = [frame.seq for frame in frames(redis_url, prefix, number)]
        assert seqs == list(range(1, len(seqs) + 1))


async def test_redis_that_refuses_is_tried_again_and_nothing_is_lost(
    collector: TraceCollector, redis_url: str, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = redis.Redis.from_url(redis_url)
    key = events_key(prefix, 0)
    client.set(key, "not a stream")
    with TraceContext("learn"):
        pass
    await eventually(lambda: any("takes no events" in record.message for record in caplog.records))
    assert not await collector.flush(0.1)
    assert collector.stats().buffered == 2
    client.delete(key)
    await eventually(lambda: collector.stats().published == 2)
    assert len(events(redis_url, prefix)) == 2
    client.close()


async def test_an_absent_redis_hurts_nobody_and_the_bound_holds(prefix: str) -> None:
    collector = TraceCollector(
        EmitterSettings(redis_url="redis://127.0.0.1:1/0", prefix=prefix, buffer_bytes=1024 * 1024)
    )
    process.use(collector)
    await collector.start()
    with TraceContext("learn"):
        for _ in range(500):
            with span("step") as step:
                step.set_output("x" * 20_000)
    stats = await collector.stop(timeout=0.3)
    process.use(None)
    assert stats.emitted == 502
    assert stats.published == 0
    assert stats.dropped["buffer_full"] > 0
    assert stats.buffered + stats.dropped["buffer_full"] == 502
    assert not stats.complete


async def test_losses_are_told_in_the_trace_and_in_the_account(redis_url: str, prefix: str) -> None:
    client = redis.Redis.from_url(redis_url)
    client.set(events_key(prefix, 0), "blocks the stream")
    collector = TraceCollector(EmitterSettings(redis_url=redis_url, prefix=prefix, buffer_bytes=1024 * 1024))
    process.use(collector)
    async with TraceContext("learn"):
        for _ in range(500):
            with span("step") as step:
                step.set_output("x" * 20_000)
        lost = collector.stats().dropped["buffer_full"]
        assert lost > 0
        client.delete(events_key(prefix, 0))
        await eventually(lambda: collector.stats().buffered == 0)
    assert (await collector.stop()).published == 502 - lost
    process.use(None)
    ended = events(redis_url, prefix)[-1]
    assert ended["dropped"] == {"buffer_full": lost}
    assert ended["span_count"] == 500
    last = frames(redis_url, prefix)[-1]
    assert last.account is not None
    assert (last.account.emitted, last.account.lost) == (502, {"buffer_full": lost})
    client.close()


async def test_many_threads_lose_nothing(collector: TraceCollector, redis_url: str, prefix: str) -> None:
    @traced_span("work")
    def work(number: int) -> str:
        return "x" * (number % 700)

    def pipeline() -> None:
        with TraceContext("thread"):
            for number in range(500):
                work(number)

    await asyncio.gather(*(asyncio.to_thread(pipeline) for _ in range(8)))
    assert (await collector.stop()).complete
    seen = events(redis_url, prefix)
    assert len(seen) == 8 * 502
    assert len({event["span_id"] for event in seen if event["type"] == "span"}) == 4000


def test_settled_frames_are_seen_by_who_waits(redis_url: str, prefix: str) -> None:
    from threading import Thread

    from tracequeue.keys import receipts_key

    collector = TraceCollector(EmitterSettings(redis_url=redis_url, prefix=prefix, linger_ms=0))
    process.use(collector)
    with TraceContext("learn"):
        pass
    assert not collector.persisted_sync(0.05)
    client = redis.Redis.from_url(redis_url)
    outcome: list[bool] = []
    waiting = Thread(target=lambda: outcome.append(collector.persisted_sync(30)))
    waiting.start()
    for frame in frames(redis_url, prefix):
        client.setbit(receipts_key(prefix, 0, collector.identity.emitter_id), frame.seq, 1)
    waiting.join(30)
    assert outcome == [True]
    collector.stop_sync()
    process.use(None)
    client.close()
    eventually_sync(lambda: not waiting.is_alive())


async def test_an_open_trace_shows_that_its_emitter_lives(
    collector: TraceCollector, redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "HEARTBEAT_SECONDS", 0.02)
    with TraceContext("long"):
        await eventually(lambda: sum(not frame.lines for frame in frames(redis_url, prefix)) >= 3)
    assert await collector.flush()
    seen = frames(redis_url, prefix)
    assert [frame.seq for frame in seen] == list(range(1, len(seen) + 1))
    beat = next(frame for frame in seen if not frame.lines)
    assert beat.account is not None
    assert beat.account.emitted == 1


async def test_one_sick_partition_does_not_hold_up_the_others(
    redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "LONGEST_DELAY_SECONDS", 3600)
    client = redis.Redis.from_url(redis_url)
    client.set(events_key(prefix, 1), "not a stream")
    collector = TraceCollector(EmitterSettings(redis_url=redis_url, prefix=prefix, partitions=2, linger_ms=0))
    process.use(collector)
    healthy = 0
    while healthy < 20:
        with TraceContext("learn") as trace:
            pass
        if partition_of(trace.trace_id.bytes, 2) == 0:
            healthy += 1
            await eventually(lambda: len(events(redis_url, prefix, 0)) == 2 * healthy)  # noqa: B023
    assert collector.stats().buffered > 0
    client.delete(events_key(prefix, 1))
    assert await collector.flush(30)
    assert (await collector.stop()).complete
    process.use(None)
    client.close()
    for partition in range(2):
        seqs = [frame.seq for frame in frames(redis_url, prefix, partition)]
        assert sorted(seqs) == list(range(1, len(seqs) + 1))
