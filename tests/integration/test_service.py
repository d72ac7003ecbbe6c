"""The whole worker on a real Redis, with a store in memory: start, share, drain, stop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tests.fixtures.frames import frame, span
from tests.fixtures.ledger import LedgerSink
from tests.fixtures.polling import eventually
from tracequeue.keys import dead_key, events_key
from tracequeue_worker.errors import Fatal, Transient, Unreachable
from tracequeue_worker.service import Stop, run
from tracequeue_worker.settings import WorkerSettings

Settings = Callable[..., WorkerSettings]


@pytest.fixture
def settings(redis_url: str, prefix: str) -> Settings:
    def make(**changes: Any) -> WorkerSettings:
        return WorkerSettings.load(**({"redis_url": redis_url, "prefix": prefix, "min_idle_ms": 1000} | changes))

    return make


async def test_drains_what_is_there(settings: Settings, redis_client: Redis, prefix: str) -> None:
    key = events_key(prefix, 0)
    await redis_client.xadd(key, {"body": '{"type":"nonsense"}'})
    for number in range(1, 201):
        await redis_client.xadd(key, frame(span(span_name=f"s{number:03}"), seq=number))
    sink = LedgerSink()

    report = await run(settings(), drain=True, sink=sink)

    assert sink.names == [f"s{number:03}" for number in range(1, 201)]
    assert (report.frames, report.rows, report.dead_letters, report.unfinished) == (201, 200, 1, 0)
    assert (await redis_client.xpending(key, "persist"))["pending"] == 0
    assert await redis_client.xlen(dead_key(prefix, 0)) == 1
    assert await redis_client.xinfo_consumers(key, "persist") == []
    assert not sink.is_open


async def test_all_partitions_are_read(settings: Settings, redis_client: Redis, prefix: str) -> None:
    for partition in range(4):
        await redis_client.xadd(events_key(prefix, partition), frame(span(span_name=f"p{partition}")))
    sink = LedgerSink()

    await run(settings(partitions=4), drain=True, sink=sink)

    assert sink.names == ["p0", "p1", "p2", "p3"]


async def test_two_workers_share_and_stop_when_asked(settings: Settings, redis_client: Redis, prefix: str) -> None:
    sinks = [LedgerSink(), LedgerSink()]
    stops = [Stop(), Stop()]
    workers = [
        asyncio.create_task(run(settings(consumer=f"w{number}"), sink=sinks[number], stop=stops[number]))
        for number in range(2)
    ]
    wanted = []

    async def add_one() -> bool:
        wanted.append(f"s{len(wanted):04}")
        await redis_client.xadd(events_key(prefix, 0), frame(span(span_name=wanted[-1]), seq=len(wanted)))
        return all(sink.frames for sink in sinks)

    await eventually(add_one)
    await eventually(lambda: sorted(sinks[0].names + sinks[1].names) == wanted)
    for stop in stops:
        stop.ask()
    reports = await asyncio.gather(*workers)

    assert sum(report.frames for report in reports) == len(wanted)
    assert (await redis_client.xpending(events_key(prefix, 0), "persist"))["pending"] == 0


async def test_a_store_that_is_away_holds_everything(
    settings: Settings, redis_client: Redis, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    await redis_client.xadd(events_key(prefix, 0), frame(span(span_name="kept"), b"bad"))
    caplog.set_level("INFO", "tracequeue_worker")
    sink = LedgerSink(Transient("gone"), Transient("still gone"), Transient("still gone"))

    report = await run(settings(), drain=True, sink=sink)

    assert sink.names == ["kept"]
    assert (report.rows, report.dead_letters) == (1, 1)
    words = [record.message.partition(":")[0] for record in caplog.records]
    assert words.count("degraded") == words.count("recovered") == 1


async def test_a_fatal_store_ends_a_drain_and_acknowledges_nothing(
    settings: Settings, redis_client: Redis, prefix: str
) -> None:
    await redis_client.xadd(events_key(prefix, 0), frame(span(), b"bad"))

    with pytest.raises(Fatal, match="no such table"):
        await run(settings(), drain=True, sink=LedgerSink(Fatal("no such table")))

    assert (await redis_client.xpending(events_key(prefix, 0), "persist"))["pending"] == 1
    assert not await redis_client.exists(dead_key(prefix, 0))


async def test_asked_to_stop_it_finishes_what_is_in_flight(
    settings: Settings, redis_client: Redis, prefix: str
) -> None:
    sink, stop = LedgerSink(), Stop()
    sink.gate.clear()
    await redis_client.xadd(events_key(prefix, 0), frame(span()))
    worker = asyncio.create_task(run(settings(), sink=sink, stop=stop))
    await eventually(lambda: pending(redis_client, prefix))
    stop.ask()
    sink.gate.set()

    report = await worker

    assert (report.frames, report.unfinished) == (1, 0)
    assert await pending(redis_client, prefix) == 0


@pytest.mark.parametrize("insist", [True, False])
async def test_it_leaves_when_the_grace_is_over_or_at_the_second_signal(
    settings: Settings, redis_client: Redis, prefix: str, insist: bool
) -> None:
    sink, stop = LedgerSink(), Stop()
    sink.gate.clear()
    await redis_client.xadd(events_key(prefix, 0), frame(span()))
    worker = asyncio.create_task(run(settings(), sink=sink, stop=stop, grace_seconds=3600 if insist else 0))
    await eventually(lambda: pending(redis_client, prefix))
    stop.ask()
    if insist:
        stop.ask()

    report = await worker

    assert report.unfinished == 1
    assert await pending(redis_client, prefix) == 1


async def test_a_crash_of_a_task_ends_the_service(settings: Settings, redis_client: Redis, prefix: str) -> None:
    await redis_client.xadd(events_key(prefix, 0), frame(span()))

    with pytest.raises(ZeroDivisionError):
        await run(settings(), sink=LedgerSink(ZeroDivisionError()))


async def test_an_evicting_redis_is_refused(settings: Settings, redis_client: Redis) -> None:
    await redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(Fatal, match="noeviction"):
            await run(settings(), sink=LedgerSink())
    finally:
        await redis_client.config_set("maxmemory-policy", "noeviction")


async def test_a_key_of_another_type_is_refused(settings: Settings, redis_client: Redis, prefix: str) -> None:
    await redis_client.set(events_key(prefix, 0), "text")
    with pytest.raises(Fatal, match="TRACEQUEUE_PREFIX"):
        await run(settings(), sink=LedgerSink())


async def test_a_wrong_password_is_said_without_showing_it(
    settings: Settings, redis_client: Redis, redis_url: str
) -> None:
    await redis_client.execute_command("ACL", "SETUSER", "tq-known", "on", ">right", "~*", "+@all")
    with pytest.raises(Fatal, match="check user, password") as caught:
        await run(settings(redis_url=redis_url.replace("redis://", "redis://tq-known:wrong-word@")), sink=LedgerSink())
    assert "wrong-word" not in str(caught.value)


async def test_an_absent_redis_is_said(settings: Settings) -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1 cannot be reached"):
        await run(settings(redis_url="redis://127.0.0.1:1/0"), sink=LedgerSink())


async def test_a_batch_slower_than_the_claim_time_stays_with_its_worker(
    settings: Settings, redis_client: Redis, prefix: str
) -> None:
    key = events_key(prefix, 0)
    slow, idle = LedgerSink(), LedgerSink()
    slow.gate.clear()
    stops = [Stop(), Stop()]
    first_id = await redis_client.xadd(key, frame(span(), src="a" * 32))
    workers = [asyncio.create_task(run(settings(consumer="slow", min_idle_ms=3000), sink=slow, stop=stops[0]))]
    await eventually(lambda: pending(redis_client, prefix))
    workers.append(asyncio.create_task(run(settings(consumer="idle", min_idle_ms=3000), sink=idle, stop=stops[1])))

    renewals: list[int] = []

    async def renewed_past_the_claim_time() -> bool:
        (item,) = await redis_client.xpending_range(key, "persist", first_id, first_id, 1)
        assert (item["consumer"], item["times_delivered"]) == (b"slow", 1)  # a takeover would be a second delivery
        renewals.append(item["time_since_delivered"])
        return sum(later < earlier for earlier, later in pairwise(renewals)) >= 4  # three a claim time

    await eventually(renewed_past_the_claim_time)
    slow.gate.set()
    for stop in stops:
        stop.ask()
    reports = await asyncio.gather(*workers)
    assert [report.frames for report in reports] == [1, 0]


async def pending(client: Redis, prefix: str) -> int:
    """How many entries are pending; none while the group is not there yet."""
    with suppress(ResponseError):
        return int((await client.xpending(events_key(prefix, 0), "persist"))["pending"])
    return 0


async def test_unknown_fields_and_contradicting_spans_are_counted(
    settings: Settings, redis_client: Redis, prefix: str, migrated_database_url: str
) -> None:
    key = events_key(prefix, 0)
    once = span()
    await redis_client.xadd(key, frame(once | {"colour": "red", "size": 3}, seq=1))
    await redis_client.xadd(key, frame(once | {"output_data": "another"}, seq=2))

    report = await run(settings(database_url=migrated_database_url), drain=True)

    assert (report.ignored_fields, report.span_conflicts, report.dead_letters) == (2, 1, 0)
