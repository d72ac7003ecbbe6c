"""EXPLAIN guards of what must not grow with the days that are kept: a trace and a list of traces look at their days."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.fixtures.plans import Explaining, executed, of, rows_read
from tracequeue_worker.conditions import places_of
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.sql import statement

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LONG_AGO = datetime.now(UTC).replace(hour=12, minute=0) - 12 * DAY
AROUND = {f"{LONG_AGO + days * DAY:%Y%m%d}" for days in (-1, 0, 1)}


def id_of(moment: datetime) -> UUID:
    """A UUIDv7 that was made then."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62 | random.getrandbits(62))


def days_of(scans: list[Any]) -> set[str]:
    return {scan["Relation Name"].rpartition("_")[2] for scan in scans}


async def store(connection: asyncpg.Connection, trace_id: UUID, start: datetime) -> None:
    """A trace that took a second, with one span."""
    await connection.execute(
        "INSERT INTO pipeline_traces (trace_id, start_time, pipeline_name, end_time, status, span_count) "
        "VALUES ($1, $2, 'a', $2::timestamptz + interval '1 second', 'ok', 1)",
        trace_id, start,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO pipeline_spans (trace_id, span_id, start_time, span_name, end_time, duration_ms, status, success) "
        "VALUES ($1, '00000000000000aa', $2, 'a', $2, 1, 'ok', true)",
        trace_id, start,
    )  # fmt: skip


@pytest.mark.parametrize("skew", [0 * HOUR, 23 * HOUR, -23 * HOUR])
async def test_a_trace_is_looked_for_around_the_time_in_its_id(
    filled: asyncpg.Connection, repo: TraceRepo, explaining: Explaining, skew: timedelta
) -> None:
    trace_id = id_of(LONG_AGO)
    await store(filled, trace_id, LONG_AGO + skew)
    found = await repo.get_trace(trace_id)
    assert found
    assert found.completeness == "complete"
    (plan,) = explaining.plans
    assert days_of(of(plan, "pipeline_traces_")) <= AROUND
    assert rows_read(of(plan, "pipeline_traces_")) == rows_read(of(plan, "pipeline_spans_")) == 1


async def test_a_trace_whose_clock_was_wrong_by_days_is_looked_for_everywhere_then(
    filled: asyncpg.Connection, repo: TraceRepo, explaining: Explaining
) -> None:
    trace_id = id_of(LONG_AGO)
    await store(filled, trace_id, LONG_AGO + 5 * DAY)
    assert await repo.get_trace(trace_id)
    near, everywhere = explaining.plans
    assert days_of(of(near, "pipeline_traces_")) <= AROUND
    assert len(of(everywhere, "pipeline_traces_")) > len(AROUND)
    assert rows_read(executed(everywhere)) == 2


async def test_an_id_without_a_time_is_found_by_the_keys_of_all_days(
    filled: asyncpg.Connection, repo: TraceRepo, explaining: Explaining
) -> None:
    trace_id = uuid4()
    await store(filled, trace_id, LONG_AGO)
    assert await repo.get_trace(trace_id)
    (plan,) = explaining.plans
    assert {scan["Node Type"] for scan in of(plan, "pipeline_traces_")} <= {"Index Scan", "Index Only Scan"}
    assert rows_read(executed(plan)) == 2


@pytest.mark.parametrize("make", [lambda: id_of(LONG_AGO), uuid4])
async def test_the_spans_of_a_trace_are_looked_for_on_its_days(
    filled: asyncpg.Connection, repo: TraceRepo, explaining: Explaining, make: Any
) -> None:
    trace_id = make()
    await store(filled, trace_id, LONG_AGO)
    assert len(await repo.get_spans_for_trace(trace_id)) == 1
    assert days_of(of(explaining.plans[-1], "pipeline_spans_")) <= AROUND
    assert rows_read(executed(explaining.plans[-1])) == 1


@pytest.mark.parametrize("name", ["trace_get", "trace_times"])
async def test_a_plan_that_is_kept_for_any_id_leaves_the_other_days_out_too(
    filled: asyncpg.Connection, name: str
) -> None:
    """After five executions on one connection the server may keep one."""
    trace_id = id_of(LONG_AGO)
    await store(filled, trace_id, LONG_AGO)
    await filled.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE kept AS {statement(name)}")
    times = ", ".join(f"'{moment.isoformat()}'" for moment in places_of(trace_id)[0])
    told = await filled.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) EXECUTE kept('{trace_id}', {times})")
    plan = json.loads(told)[0]["Plan"]
    assert days_of(of(plan, "pipeline_traces_")) <= AROUND
    assert days_of(of(plan, "pipeline_spans_")) <= AROUND


@pytest.mark.parametrize("filters", [{}, {"telegram_id": 7}, {"pipeline": "pipeline 7"}, {"success": True}])
async def test_a_list_of_a_window_looks_at_its_day_only(
    repo: TraceRepo, explaining: Explaining, filters: dict[str, Any]
) -> None:
    await repo.get_traces(since=LONG_AGO, until=LONG_AGO + HOUR, **filters)
    (plan,) = explaining.plans
    assert days_of(of(plan, "pipeline_traces_")) == {f"{LONG_AGO:%Y%m%d}"}
    assert days_of(of(plan, "pipeline_spans_")) <= AROUND
    assert rows_read(of(plan, "pipeline_traces_")) <= 25
