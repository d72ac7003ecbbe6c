"""A trace is the same in whatever order, and however often, its events come."""

import itertools

import asyncpg
import pytest

from tests.fixtures.decoded import decoded, ended_row, now, started_row
from tracequeue.ids import new_trace_id

TRACE = str(new_trace_id())
START = now()
STARTED = started_row(trace_id=TRACE, start_time=START, session_id="only here", metadata='{"from": "started"}')
ENDED = ended_row(
    trace_id=TRACE, start_time=START, end_time=START + 5, duration_ms=0.005, status="error", success=False,
    error="ValueError: no", metadata='{"from": "ended"}', telegram_id=None,
)  # fmt: skip
EXPECTED = {
    "pipeline_name": "support", "telegram_id": 42, "session_id": "only here", "metadata": '{"from": "ended"}',
    "status": "error", "success": False, "error": "ValueError: no", "duration_ms": 0.005, "span_count": 0,
    "tags": ["vip"],
}  # fmt: skip


async def stored_trace(database: asyncpg.Connection) -> dict[str, object]:
    (row,) = await database.fetch("SELECT * FROM pipeline_traces")
    return {name: row[name] for name in EXPECTED}


@pytest.mark.parametrize("order", sorted({"".join(order) for order in itertools.permutations("SSEE")}))
@pytest.mark.parametrize("cut", [0, 1, 2, 3])
async def test_a_trace_is_the_same_in_whatever_order_its_events_come(sink, database, order, cut):
    rows = [{"S": STARTED, "E": ENDED}[letter] for letter in order]
    for part in (rows[:cut], rows[cut:]):
        await sink.write([decoded(row) for row in part])
    assert await stored_trace(database) == EXPECTED


async def test_a_second_end_changes_nothing(sink, database):
    other = ENDED._replace(status="ok", success=True, error=None, metadata='{"from": "second"}', session_id="second")
    await sink.write([decoded(ENDED), decoded(other)])
    await sink.write([decoded(other), decoded(STARTED)])
    assert await stored_trace(database) == EXPECTED


async def test_one_trace_with_many_rows_in_one_frame(sink, database):
    await sink.write([decoded(ENDED, STARTED, ENDED, STARTED)])
    assert await stored_trace(database) == EXPECTED
