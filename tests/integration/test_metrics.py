"""What the metrics of a worker tell, and that they never grow with what flows."""

import re
from pathlib import Path
from uuid import uuid4

from tests.fixtures.frames import frame, span, started
from tests.fixtures.health import serving
from tests.fixtures.ledger import LedgerSink
from tests.fixtures.oracle import LONGEST_SECONDS, Site
from tests.fixtures.polling import eventually
from tests.fixtures.probing import ask
from tests.fixtures.servers import free_port
from tracequeue.keys import events_key

ROOT = Path(__file__).parents[2]


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
