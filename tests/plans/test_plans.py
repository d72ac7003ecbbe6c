"""EXPLAIN guards: each index serves its query, and only the days that matter are looked at."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from tests.fixtures.decoded import ended_row, span_row, started_row
from tests.fixtures.plans import Explaining, executed, nodes, of, rows_read
from tracequeue.ids import new_trace_id
from tracequeue_worker.replay.comparison import compare, running_traces
from tracequeue_worker.retention.ledger import PAGES
from tracequeue_worker.rows import microseconds
from tracequeue_worker.sinks.staging import conflicting_spans, insert_spans, merge_traces, stage
from tracequeue_worker.sql import statement

LOCKED = """
SELECT count(DISTINCT relation) FROM pg_locks JOIN pg_class ON pg_class.oid = relation
WHERE pid = pg_backend_pid() AND relkind = 'r' AND relname LIKE 'pipeline%'
"""


WEEK_AGO = datetime.now(UTC) - timedelta(days=7)


@pytest.mark.parametrize(
    ("filters", "columns"),
    [
        ({}, "start_time_trace_id"),
        ({"telegram_id": 7}, "telegram_id_start_time_trace_id"),
        ({"pipeline": "pipeline 7"}, "pipeline_name_start_time_trace_id"),
    ],
)
@pytest.mark.parametrize("since", [None, WEEK_AGO])
async def test_a_list_reads_its_index_and_little_more_than_it_shows(repo, explaining, filters, columns, since):
    found = await repo.get_traces(limit=5, since=since, **filters)
    assert found
    (plan,) = explaining.plans
    scans = of(plan, "pipeline_traces_")
    assert all(columns in scan.get("Index Name", "") for scan in scans), scans
    assert rows_read(scans) <= 20


async def test_the_next_page_looks_at_no_later_day(repo, explaining):
    cursor = (datetime.now(UTC) - timedelta(days=12), UUID(int=0))
    assert len(await repo.get_traces(limit=5, cursor=cursor)) == 5
    (plan,) = explaining.plans
    later = f"pipeline_traces_{cursor[0] + timedelta(days=1):%Y%m%d}"
    assert all(scan["Relation Name"] < later for scan in of(plan, "pipeline_traces_"))
    assert rows_read(of(plan, "pipeline_traces_")) <= 10


async def test_the_list_counts_spans_of_what_it_shows_and_of_their_days_only(repo, explaining):
    await repo.get_traces(limit=5, since=WEEK_AGO)
    (plan,) = explaining.plans
    scans = [scan for scan in of(plan, "pipeline_spans_") if rows_read([scan])]
    assert {scan["Node Type"] for scan in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
    assert 0 < len(scans) <= 4
    assert all(scan["Actual Loops"] <= 5 for scan in scans)


async def test_one_trace_is_looked_up_around_the_time_in_its_id(filled, repo, explaining):
    trace_id, start = new_trace_id(), datetime.now(UTC)
    await filled.execute(
        "INSERT INTO pipeline_traces (trace_id, start_time, pipeline_name, end_time, status) "
        "VALUES ($1, $2, 'a', $2, 'ok')",
        trace_id, start,
    )  # fmt: skip
    assert await repo.get_trace(trace_id)
    await repo.get_spans_for_trace(trace_id)
    assert len(explaining.plans) == 3
    for plan in explaining.plans:
        scans = executed(plan)
        assert len([scan for scan in scans if "pipeline_emitters" not in scan["Relation Name"]]) <= 6
        assert rows_read(scans) <= 10


async def test_the_statistics_of_one_span_read_its_rows_only(repo, explaining):
    (found,) = await repo.stats(by="span", name="span 7", since=WEEK_AGO)
    (plan,) = explaining.plans
    assert rows_read(of(plan, "pipeline_spans_")) <= found.count + 5
    assert len(of(plan, "pipeline_spans_")) <= 9


async def test_a_newer_page_reads_its_index_and_looks_at_no_earlier_day(repo, explaining):
    cursor = (datetime.now(UTC) - timedelta(days=5), UUID(int=0))
    assert len(await repo.get_traces(limit=5, cursor=cursor, newer=True)) == 5
    (plan,) = explaining.plans
    scans = of(plan, "pipeline_traces_")
    assert all(scan["Relation Name"] >= f"pipeline_traces_{cursor[0]:%Y%m%d}" for scan in scans)
    assert rows_read(scans) <= 10


async def test_the_slowest_read_their_pipeline_and_count_the_spans_of_what_they_show(repo, explaining):
    await repo.get_slowest(since=WEEK_AGO, pipeline="pipeline 7", limit=5)
    (plan,) = explaining.plans
    assert rows_read(of(plan, "pipeline_traces_")) <= 100
    assert rows_read(of(plan, "pipeline_spans_")) <= 15


async def test_failures_of_a_pipeline_read_its_rows_only(repo, explaining):
    await repo.get_failures(since=WEEK_AGO, pipeline="pipeline 7")
    (plan,) = explaining.plans
    assert rows_read(of(plan, "pipeline_traces_")) <= 100


async def test_the_traces_of_a_message_are_looked_for_within_their_bounds(filled, repo, explaining):
    now = datetime.now(UTC)
    await filled.execute(
        "INSERT INTO pipeline_traces (trace_id, start_time, pipeline_name, session_id) SELECT gen_random_uuid(), "
        "now() - n * interval '1 day' / 20000, 'p', '1042' FROM generate_series(1, 20000) AS n; ANALYZE pipeline_traces"
    )
    await repo.get_traces_of_message(1, 1042, 7, since=now - timedelta(hours=1), until=now)
    of_person, of_all = explaining.plans
    assert rows_read(of(of_person, "pipeline_traces_")) == 0
    scans = of(of_all, "pipeline_traces_")
    assert {scan["Node Type"] for scan in scans} <= {"Index Scan", "Bitmap Heap Scan"}
    assert rows_read(scans) <= 1100


async def test_tokens_are_counted_on_the_days_of_the_period_only(repo, explaining):
    now = datetime.now(UTC)
    await repo.get_token_usage(since=now - timedelta(hours=2), until=now)
    (plan,) = explaining.plans
    assert len(of(plan, "pipeline_spans_")) <= 2
    assert len(of(plan, "pipeline_traces_")) <= 4


async def test_the_rate_reads_the_latest_frames_only(filled):
    await filled.execute(
        "INSERT INTO pipeline_frames (emitter_id, partition, seq, digest, stream, entry_id, events, committed_at) "
        "SELECT gen_random_uuid(), 0, n, '', 's', '1-1', 1, now() - (60000 - n) * interval '1 second' "
        "FROM generate_series(1, 60000) AS n; ANALYZE pipeline_frames"
    )
    explaining = Explaining(filled)
    await explaining.fetch(statement("rate"))
    assert "pipeline_frames_by_commit" in {node.get("Index Name") for node in nodes(explaining.plans[0])}


async def test_the_ledger_is_pruned_page_by_page(filled):
    """However long it is, one step of it reads the pages of that step only."""
    await filled.execute(
        "INSERT INTO pipeline_frames (emitter_id, partition, seq, digest, stream, entry_id, events, committed_at) "
        "SELECT gen_random_uuid(), 0, n, '', 's', '1-1', 1, now() - interval '1 year' "
        "FROM generate_series(1, 60000) AS n; ANALYZE pipeline_frames"
    )
    explaining = Explaining(filled)
    now = datetime.now(UTC)
    await explaining.fetch(statement("retention_fold"), (0, 0), (PAGES, 0), now, now)
    scans = of(explaining.plans[0], "pipeline_frames")
    assert {scan["Node Type"] for scan in scans} <= {"Tid Range Scan", "Tid Scan", "ModifyTable"}
    (left,) = await filled.fetch("SELECT count(*) AS frames FROM pipeline_frames")
    assert left["frames"] > 30000


async def test_pruned_numbers_are_unpacked_once_not_for_each_frame(database):
    """However many holes they have: of each frame it is looked up whether it is among them."""
    await database.execute(
        "INSERT INTO pipeline_settled SELECT $$00000000-0000-0000-0000-000000000001$$, 0, "
        "range_agg(int8range(n * n, n * n + 1)), 1, 0 FROM generate_series(1, 5000) AS n; "
        "INSERT INTO pipeline_frames (emitter_id, partition, seq, digest, stream, entry_id, events, committed_at) "
        "SELECT $$00000000-0000-0000-0000-000000000001$$, 0, n, '', 's', '1-1', 1, now() - interval '1 year' "
        "FROM generate_series(1, 2000) AS n; ANALYZE pipeline_frames, pipeline_settled"
    )
    query = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement('accounts')}"
    plan = json.loads(await database.fetchval(query, None, ""))[0]["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 600


async def test_known_frames_are_found_by_the_key_of_the_ledger(filled):
    await filled.execute(
        "INSERT INTO pipeline_frames (emitter_id, partition, seq, digest, stream, entry_id, events) "
        "SELECT gen_random_uuid(), 0, n, '', 's', '1-1', 1 FROM generate_series(1, 20000) AS n; ANALYZE pipeline_frames"
    )
    explaining = Explaining(filled)
    await explaining.fetch(statement("frames_known"), [UUID(int=1)] * 30, [0] * 30, list(range(30)))
    scans = of(explaining.plans[0], "pipeline_frames")
    assert {scan["Node Type"] for scan in scans} == {"Index Scan"}


async def test_rows_that_come_again_lock_the_partitions_of_their_days_only(filled):
    """But once: the server makes a plan for any times, after five executions, to see that it is worse."""
    trace, span = ended_row(), span_row()
    start = started_row(1, trace_id=trace.trace_id, start_time=trace.start_time)
    counts = []
    for _ in range(10):
        async with filled.transaction():
            await stage(filled, [(0, *span)], [(0, *row, None, None, None, None) for row in (trace, start)])
            await insert_spans(filled)
            await merge_traces(filled, 2)
            assert await conflicting_spans(filled) == 0
            counts.append(await filled.fetchval(LOCKED))
    assert sorted(counts)[:-1] == [2] * 9


async def stage_what_is_stored(connection: asyncpg.Connection, day: int) -> None:
    """The spans of a day, and their traces, as a batch that comes again."""
    rows = await connection.fetch(
        "SELECT trace_id::text, span_id, start_time FROM pipeline_spans "
        "WHERE start_time >= current_date - $1::int AND start_time < current_date - $1::int + 1",
        day,
    )
    starts = [microseconds(row["start_time"]) for row in rows]
    spans = [
        (0, *span_row(line, trace_id=row["trace_id"], span_id=row["span_id"], start_time=start, end_time=start))
        for line, (row, start) in enumerate(zip(rows, starts, strict=True))
    ]
    traces = [
        (0, *make(line, trace_id=row["trace_id"], start_time=start), None, None, None, None)
        for line, (row, start) in enumerate(zip(rows, starts, strict=True))
        for make in (started_row, ended_row)
    ]
    await stage(connection, spans, traces)


@pytest.mark.parametrize("kind", ["spans", "starts", "ends"])
async def test_a_batch_is_compared_by_keys_on_its_day_only(filled, kind):
    """Though as many rows are staged as the day has, for which the server would read all of it."""
    await filled.execute(
        "INSERT INTO pipeline_spans (trace_id, span_id, start_time, span_name, end_time, duration_ms, status, success) "
        "SELECT trace_id, n, start_time, 's', end_time, 1, 'ok', true "
        "FROM pipeline_traces, generate_series(1, 16) AS n "
        "WHERE start_time >= current_date - 3 AND start_time < current_date - 2; ANALYZE"
    )
    explaining = Explaining(filled)
    more = [(), ()] if kind == "ends" else []
    async with filled.transaction():
        await stage_what_is_stored(filled, day=3)
        (times,) = await filled.fetch(statement("staged_times").format(table="staged_spans"))
        query = statement("replay_days_add").format(compared=statement(f"replay_compared_{kind}"))
        await explaining.fetch(query, UUID(int=1), kind, [0], *times.values(), *more)
    scans = of(explaining.plans[0], "pipeline_spans_") + of(explaining.plans[0], "pipeline_traces_")
    assert len(scans) == 1
    assert scans[0]["Node Type"] == "Index Scan"
    assert rows_read(scans) == scans[0]["Actual Loops"] > 1000


async def test_traces_that_are_about_to_end_are_looked_up_by_keys_on_their_day_only(filled):
    explaining = Explaining(filled)
    async with filled.transaction():
        await stage_what_is_stored(filled, day=3)
        (times,) = await filled.fetch(statement("staged_times").format(table="staged_traces"))
        await explaining.fetch(statement("replay_traces_running"), *times.values())
    (scan,) = of(explaining.plans[0], "pipeline_traces_")
    assert scan["Node Type"] == "Index Scan"


@pytest.mark.parametrize("looking_before", [True, False])
async def test_comparing_locks_the_partitions_of_the_days_of_the_batch_only(filled, looking_before):
    trace, span = ended_row(), span_row()
    counts = []
    for _ in range(10):
        async with filled.transaction():
            await stage(filled, [(0, *span)], [(0, *trace, None, None, None, None)])
            running = await running_traces(filled) if looking_before else ()
            await compare(filled, UUID(int=1), [0], running)
            counts.append(await filled.fetchval(LOCKED))
    assert counts == [3] * 10


async def test_plans_that_are_made_for_each_batch_are_not_compiled(filled):
    async with filled.transaction():
        await stage(filled, [(0, *span_row())], [])
        await compare(filled, UUID(int=1), [0], ())
        assert await filled.fetchval("SHOW jit") == "off"


async def test_only_the_holes_are_looked_up_in_the_ledger(filled):
    await filled.execute(
        "INSERT INTO pipeline_frames (emitter_id, partition, seq, digest, stream, entry_id, events) "
        "SELECT $$00000000-0000-0000-0000-000000000001$$, 0, n, '', 's', '1-1', 1 FROM generate_series(1, 20000) AS n; "
        "INSERT INTO pipeline_replay_numbers VALUES ($$00000000-0000-0000-0000-000000000009$$, "
        "$$00000000-0000-0000-0000-000000000001$$, 0, '{[1,100),[110,20001)}'); ANALYZE pipeline_frames"
    )
    explaining = Explaining(filled)
    assert await explaining.fetch(statement("replay_gaps"), UUID(int=9), False) == []
    assert rows_read(of(explaining.plans[0], "pipeline_frames")) == 10


async def test_no_partition_has_an_index_that_no_query_here_names(database):
    rows = await database.fetch(
        "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename LIKE 'pipeline%' ORDER BY 1"
    )
    assert [row["indexname"] for row in rows] == [
        "pipeline_conflicts_pkey",
        "pipeline_emitters_pkey",
        "pipeline_frames_by_commit",
        "pipeline_frames_dead",
        "pipeline_frames_pkey",
        "pipeline_migrations_pkey",
        "pipeline_replay_days_pkey",
        "pipeline_replay_numbers_pkey",
        "pipeline_replay_parts_pkey",
        "pipeline_replays_pkey",
        "pipeline_replays_unfinished",
        "pipeline_settled_pkey",
        "pipeline_spans_by_name",
        "pipeline_spans_pkey",
        "pipeline_traces_by_pipeline",
        "pipeline_traces_by_telegram_id",
        "pipeline_traces_by_time",
        "pipeline_traces_pkey",
    ]
