"""The Postgres sink on real servers: everything once in effect, whatever comes twice or at once."""

import asyncio
import random
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest

from tests.fixtures.decoded import decoded, ended_row, entry, now, span_row, started_row
from tracequeue.frame import Account
from tracequeue.ids import new_trace_id
from tracequeue_worker.records import Rejection
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sinks.postgres import PostgresSink


async def span_ids(database: asyncpg.Connection) -> set[str]:
    return {row["span_id"] for row in await database.fetch("SELECT span_id FROM pipeline_spans")}


async def test_a_batch_is_stored_with_its_ledger_and_its_account(sink, database):
    span = span_row(input_data='{"a": [1.5, null]}', truncated='{"input_data": "cut"}')
    trace = ended_row(tags=["a", "b"], dropped='{"queue_full": 2}')
    frame = decoded(
        span, trace,
        account=Account(9, {"queue_full": 2}),
        meta={"service": "bot", "environment": "test", "release": "1", "host": "h", "pid": 5,
              "started_at": "2026-11-01T10:00:00+00:00"},
    )  # fmt: skip
    (stored,) = await sink.write([frame])
    assert (stored.frame, stored.rejections, stored.known) == (frame, [], False)
    row = await database.fetchrow("SELECT *, extract(epoch FROM start_time) * 1000000 AS micros FROM pipeline_spans")
    assert (str(row["trace_id"]), row["span_id"], row["micros"]) == (span.trace_id, span.span_id, span.start_time)
    assert (row["input_data"], row["duration_ms"], row["success"]) == ('{"a": [1.5, null]}', 1.5, True)
    row = await database.fetchrow("SELECT * FROM pipeline_traces")
    assert (row["pipeline_name"], row["telegram_id"], row["tags"]) == ("support", 42, ["a", "b"])
    assert (row["service"], row["environment"], row["release"], row["emitter_id"]) == (
        "bot",
        "test",
        "1",
        frame.emitter_id,
    )
    row = await database.fetchrow("SELECT * FROM pipeline_frames")
    assert (row["emitter_id"], row["partition"], row["seq"], row["digest"]) == (frame.emitter_id, 0, 1, frame.digest)
    assert (row["stream"], row["entry_id"], row["events"]) == ("{tracequeue:0}:events", frame.entry.id.decode(), 2)
    row = await database.fetchrow("SELECT * FROM pipeline_emitters")
    assert (row["emitted"], row["lost"], row["host"], row["pid"]) == (9, '{"queue_full": 2}', "h", 5)
    assert row["started_at"].isoformat() == "2026-11-01T10:00:00+00:00"


async def test_times_are_exact_to_the_microsecond(sink, database):
    times = [-1, 0, 1, 1_234_567_890_123_457, now(), 2**53 + 1, 253_402_300_799_999_999, -62_135_596_799_999_999]
    await sink.write([decoded(*(span_row(start_time=0, end_time=time) for time in times))])
    rows = await database.fetch("SELECT (extract(epoch FROM end_time) * 1000000)::bigint AS time FROM pipeline_spans")
    assert sorted(row["time"] for row in rows) == sorted(times)


async def test_a_frame_delivered_again_is_known_and_changes_nothing(sink, database):
    frame = decoded(span_row(), span_row(), rejections=[Rejection(2, "schema", "no name")], events=3)
    await sink.write([frame])
    (again,) = await sink.write([replace(frame, rejections=[])])
    assert again.known
    assert again.rejections == [Rejection(2, "schema", "no name")]
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 2


async def test_the_same_frame_twice_in_one_batch(sink, database):
    frame = decoded(span_row(), ended_row())
    first, second = await sink.write([frame, replace(frame, entry=entry())])
    assert (first.known, second.known) == (False, True)
    assert await database.fetchval("SELECT count(*) FROM pipeline_frames") == 1
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 1


@pytest.mark.parametrize("batches", [1, 2])
async def test_a_number_used_for_another_frame_is_an_error_that_shows(sink, database, batches):
    frame = decoded(span_row())
    other = decoded(span_row(), emitter_id=frame.emitter_id)
    neighbour = decoded(span_row())
    if batches == 1:
        first, second, _ = await sink.write([frame, other, neighbour])
    else:
        (first,) = await sink.write([frame])
        second, _ = await sink.write([other, neighbour])
    assert first.rejections == []
    assert [(one.index, one.reason) for one in second.rejections] == [(None, "seq_conflict")]
    assert await span_ids(database) == {frame.spans[0].span_id, neighbour.spans[0].span_id}


async def test_partitions_number_their_frames_apart(sink, database):
    frame = decoded(span_row())
    elsewhere = decoded(span_row(), emitter_id=frame.emitter_id, entry=replace(entry(), partition=1))
    await sink.write([frame, elsewhere])
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 2


async def test_a_heartbeat_without_events_is_a_frame_too(sink, database):
    frame = decoded(account=Account(5, {}))
    await sink.write([frame, decoded(emitter_id=frame.emitter_id, seq=2, account=Account(4, {"a": 1}))])
    assert await database.fetchrow("SELECT emitted, lost FROM pipeline_emitters") == (5, '{"a": 1}')
    assert await sink.write([]) == []


async def test_accounts_are_merged_by_maximum_in_any_order(sink, database):
    emitter = uuid4()
    accounts = [Account(5, {"a": 3}), Account(9, {"a": 1, "b": 2}), Account(7, {"b": 7}), None]
    for seq, account in enumerate(accounts, 1):
        await sink.write([decoded(emitter_id=emitter, seq=seq, account=account)])
    assert await database.fetchrow("SELECT emitted, lost FROM pipeline_emitters") == (9, '{"a": 3, "b": 7}')


async def test_a_frame_without_an_emitter_is_known_by_its_hash_and_has_no_account(sink, database):
    frame = decoded(ended_row(), anonymous=True, seq=0)
    await sink.write([frame])
    assert (await sink.write([frame]))[0].known
    assert await database.fetchval("SELECT count(*) FROM pipeline_emitters") == 0
    assert await database.fetchval("SELECT emitter_id FROM pipeline_traces") is None


async def test_what_an_emitter_says_of_itself_is_not_trusted(sink, database):
    meta = {"service": "a\0b" * 200, "host": 5, "pid": "x", "started_at": "yesterday", "release": ["1"]}
    strange = replace(entry(), id=b"18446744073709551615-1", stream=b"\xff\0")
    await sink.write([decoded(started_row(), meta=meta, account=Account(1, {"a\0b": 2}), entry=strange)])
    row = await database.fetchrow("SELECT * FROM pipeline_emitters")
    assert row["service"].startswith("a\ufffdb")
    assert (row["host"], row["pid"], row["started_at"], row["release"]) == (None, None, None, None)


async def test_the_same_span_with_other_content_is_counted_and_the_first_stays(sink, database):
    span = span_row()
    await sink.write([decoded(span)])
    await sink.write([decoded(span), decoded(span._replace(span_name="other"))])
    await sink.write([decoded(span), decoded(span_row())])
    assert sink.span_conflicts == 1
    assert (
        await database.fetchval("SELECT span_name FROM pipeline_spans WHERE span_id = $1", span.span_id)
        == span.span_name
    )


async def test_spans_may_come_before_their_trace_and_of_any_day(sink, database):
    days = [now() - day * 86_400_000_000 for day in (0, 1, 40, 400)]
    await sink.write([decoded(*(span_row(start_time=day) for day in days))])
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 4


async def test_four_sinks_with_overlapping_batches_in_opposite_order(migrated_database_url, database):
    sinks = [PostgresSink(WorkerSettings.load(database_url=migrated_database_url)) for _ in range(4)]
    await asyncio.gather(*(sink.open() for sink in sinks))
    emitters = [uuid4() for _ in range(3)]
    days = [now() - day * 86_400_000_000 for day in range(20)]
    trace = str(new_trace_id())
    frames = [
        decoded(
            *(span_row(start_time=day) for day in days),
            ended_row(trace_id=trace, start_time=days[0]),
            started_row(trace_id=trace, start_time=days[0]),
            emitter_id=emitters[number % 3], seq=number, account=Account(22 * number, {}),
        )
        for number in range(1, 41)
    ]  # fmt: skip
    chance = random.Random(1)

    async def write_all(sink: PostgresSink, mine: list) -> int:
        new = 0
        for start in range(0, len(mine), 8):
            new += sum(not stored.known for stored in await sink.write(mine[start : start + 8]))
        return new

    orders = [frames, frames[::-1], chance.sample(frames, 40), chance.sample(frames, 40)]
    new = await asyncio.gather(*(write_all(sink, order) for sink, order in zip(sinks, orders, strict=True)))
    assert sum(new) == len(frames)
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 800
    assert await database.fetchval("SELECT count(*) FROM pipeline_frames") == 40
    assert await database.fetchval("SELECT max(emitted) FROM pipeline_emitters") == 880
    assert sum(sink.span_conflicts for sink in sinks) == 0
    await asyncio.gather(*(sink.close() for sink in sinks))


async def test_the_same_rows_in_other_frames_in_opposite_order_do_not_deadlock(migrated_database_url, database):
    """Where the ledger lets both in at once, only the order of the keys keeps them from waiting for each other."""
    sinks = [PostgresSink(WorkerSettings.load(database_url=migrated_database_url)) for _ in range(4)]
    await asyncio.gather(*(sink.open() for sink in sinks))
    rows = [span_row() for _ in range(1500)]
    traces = [ended_row() for _ in range(300)]
    chance = random.Random(2)
    for _ in range(3):
        batches = [decoded(*chance.sample(rows, 1500), *chance.sample(traces, 300)) for _ in sinks]
        await asyncio.gather(*(sink.write([batch]) for sink, batch in zip(sinks, batches, strict=True)))
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 1500
    assert await database.fetchval("SELECT count(*) FROM pipeline_traces") == 300
    await asyncio.gather(*(sink.close() for sink in sinks))


async def test_rows_are_written_in_the_order_of_their_keys(sink, database):
    """Seen in where they lie: the order keeps overlapping batches of several workers from deadlocks."""
    frames = [decoded(*(span_row() for _ in range(20)), *(ended_row() for _ in range(5))) for _ in range(10)]
    await sink.write(random.Random(3).sample(frames, 10))
    for table, key in (
        ("pipeline_spans", "trace_id, span_id"),
        ("pipeline_traces", "trace_id"),
        ("pipeline_frames", "emitter_id, partition, seq"),
    ):
        written = await database.fetch(f"SELECT {key} FROM {table} ORDER BY tableoid, ctid")
        assert written == await database.fetch(f"SELECT {key} FROM {table} ORDER BY tableoid, {key}"), table


async def test_the_number_of_statements_does_not_grow_with_the_batch(sink, database, monkeypatch):
    counts = []
    await sink.write([decoded(span_row(), ended_row())])
    for size in (1, 60):
        seen = []
        for name in ("execute", "fetch", "fetchval", "copy_records_to_table"):
            original = getattr(asyncpg.Connection, name)

            async def counted(self, *args, _original=original, _seen=seen, **kwargs):
                _seen.append(args[0])
                return await _original(self, *args, **kwargs)

            monkeypatch.setattr(asyncpg.Connection, name, counted)
        await sink.write([decoded(*(span_row() for _ in range(9)), ended_row()) for _ in range(size)])
        monkeypatch.undo()
        counts.append(len(seen))
    assert counts[0] == counts[1]


async def test_the_sink_works_with_the_rights_of_the_writer_only(sink):
    async with sink._pool.acquire() as connection:
        assert await connection.fetchval("SELECT current_user") == "tracequeue_writer"
    await sink.write([decoded(span_row())])
    async with sink._pool.acquire() as connection:
        assert await connection.fetchval("SELECT current_user") == "tracequeue_writer"
