"""What a batch brought beside what is stored: counted and hashed by the server, by day and kind of event."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.fixtures.decoded import ended_row, span_row, started_row
from tracequeue_worker.records import DAY, SpanRow, TraceRow
from tracequeue_worker.replay.comparison import compare, running_traces
from tracequeue_worker.replay.models import DayComparison
from tracequeue_worker.sinks.staging import insert_spans, merge_traces, stage
from tracequeue_worker.sql import statement

NOON = 1_767_268_800_000_000
"""2026-01-01 12:00 UTC, in microseconds."""
FRAME = ("bot", "test", "1.0", uuid4())
"""What a frame says of its emitter."""


class Target:
    """A database, and one replay into it, batch by batch."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.replay_id: UUID = uuid4()

    async def write(
        self, *rows: SpanRow | TraceRow, frames: Sequence[int] = (0,), described: Sequence[Any] = FRAME
    ) -> int:
        """Store rows as the sink does, all of frame 0, and compare."""
        spans = [(0, *row) for row in rows if isinstance(row, SpanRow)]
        traces = [(0, *row, *described) for row in rows if isinstance(row, TraceRow)]
        async with self.connection.transaction():
            await stage(self.connection, spans, traces)
            running = await running_traces(self.connection)
            if spans:
                await insert_spans(self.connection)
            if traces:
                await merge_traces(self.connection, len({row[2:4] for row in traces}))
            return await compare(self.connection, self.replay_id, frames, running)

    async def days(self) -> dict[str, DayComparison]:
        """What the replay found of one day, by kind."""
        rows = await self.connection.fetch(statement("replay_days"), self.replay_id)
        assert len({row["day"] for row in rows}) == 1
        return {row["kind"]: DayComparison(**row) for row in rows}


@pytest.fixture
async def target(database: asyncpg.Connection) -> Target:
    for day in ("2026-01-01", "2026-01-02"):
        await database.execute(f"SELECT pipeline_ensure_partition('{day}')")
    return Target(database)


def full_span(**changes: Any) -> SpanRow:
    """A span with something in every column."""
    return span_row(
        start_time=NOON, end_time=NOON + 1, parent_span_id="00000000000000aa", kind="llm", error="late",
        output_data='["a", 1.50]', attributes='{"b": {"c": null}}', truncated='{"x": 1}',
    )._replace(**changes)  # fmt: skip


def start_of(end: TraceRow, **changes: Any) -> TraceRow:
    return started_row(trace_id=end.trace_id, start_time=end.start_time)._replace(**changes)


async def test_what_was_just_written_is_equal_and_new(target: Target) -> None:
    end = ended_row(start_time=NOON, dropped='{"full": 1}')
    assert await target.write(full_span(), full_span(), start_of(end), end) == 4
    days = await target.days()
    assert {kind: day.source_rows for kind, day in days.items()} == {"starts": 1, "spans": 2, "ends": 1}
    assert all(day.equal and not day.different for day in days.values())


async def test_written_again_it_is_equal_and_there_already(target: Target) -> None:
    span, end = full_span(), ended_row(start_time=NOON)
    for written in (3, 0, 0):
        assert await target.write(span, start_of(end), end) == written
    days = await target.days()
    assert {day.source_rows for day in days.values()} == {3}
    assert all(day.equal for day in days.values())


async def test_each_event_of_a_trace_is_new_once_in_whatever_order(target: Target) -> None:
    first, second = ended_row(start_time=NOON), ended_row(start_time=NOON)
    for row, new in (
        (start_of(first), True), (start_of(first), False), (first, True), (first, False), (start_of(first), False),
        (second, True), (start_of(second), False),
    ):  # fmt: skip
        assert await target.write(row) == int(new)
    assert all(day.equal for day in (await target.days()).values())


async def test_the_same_span_twice_in_a_batch_is_new_once(target: Target) -> None:
    span = full_span()
    assert await target.write(span, span._replace(line=1)) == 1
    assert (await target.days())["spans"].equal


async def test_json_is_compared_by_its_meaning(target: Target) -> None:
    span = full_span(input_data='{"a": 1.0, "b": [2]}')
    await target.write(span)
    await target.write(span._replace(input_data='{ "b":[2.00],"a":1 }'))
    assert (await target.days())["spans"].equal


@pytest.mark.parametrize(
    "change",
    [
        {"parent_span_id": None}, {"span_name": "other"}, {"kind": None}, {"end_time": NOON + 2}, {"duration_ms": 2.0},
        {"status": "error"}, {"success": False}, {"error": None}, {"input_data": None}, {"output_data": "[]"},
        {"attributes": "{}"}, {"truncated": None},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
async def test_a_span_with_other_content_is_different(target: Target, change: dict[str, Any]) -> None:
    span = full_span()
    await target.write(span)
    assert await target.write(span._replace(**change)) == 0
    day = (await target.days())["spans"]
    assert (day.source_rows, day.target_rows, day.different, day.equal) == (2, 2, 1, False)


@pytest.mark.parametrize(
    "change",
    [
        {"pipeline_name": "other"}, {"telegram_id": 43}, {"user_id": 8}, {"session_id": "s"}, {"metadata": "{}"},
        {"tags": ["other"]}, {"parent": "p"}, {"end_time": NOON + 2}, {"duration_ms": 1.0}, {"status": "error"},
        {"success": False}, {"error": "e"}, {"span_count": 9}, {"dropped": '{"full": 2}'},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
async def test_a_second_end_with_other_content_is_different(target: Target, change: dict[str, Any]) -> None:
    end = ended_row(start_time=NOON)
    await target.write(end)
    await target.write(end._replace(**change))
    day = (await target.days())["ends"]
    assert (day.source_rows, day.target_rows, day.different, day.equal) == (2, 2, 1, False)


SAID = {
    "telegram_id": 43, "user_id": 8, "session_id": "s", "metadata": '{"new": 1}', "tags": ["new"], "parent": "q",
}  # fmt: skip
UNSAID = dict.fromkeys(SAID)


@pytest.mark.parametrize("of_end", [SAID, UNSAID], ids=["overriding", "filled"])
@pytest.mark.parametrize("of_start", [{"session_id": "t", "parent": "p"}, UNSAID], ids=["said", "unsaid"])
@pytest.mark.parametrize("order", [("start", "end"), ("end", "start"), ("both",)], ids=" then ".join)
async def test_an_end_may_override_and_be_filled_without_any_difference(
    target: Target, order: tuple[str, ...], of_start: dict[str, Any], of_end: dict[str, Any]
) -> None:
    end = ended_row(start_time=NOON, pipeline_name="better")._replace(**of_end)
    start = start_of(end, pipeline_name="support")._replace(**of_start)
    other = ("renamed", None, "2.0", None)
    batches = {"start": ((start,), FRAME), "end": ((end,), other), "both": ((end, start), FRAME)}
    for event in order:
        rows, described = batches[event]
        await target.write(*rows, described=described)
    assert all(day.equal for day in (await target.days()).values())


@pytest.mark.parametrize("column", ["telegram_id", "user_id", "session_id", "metadata", "tags", "parent"])
async def test_what_only_a_start_said_and_an_ended_trace_lost_is_different(target: Target, column: str) -> None:
    end = ended_row(start_time=NOON)._replace(**UNSAID)
    start = start_of(end)._replace(**SAID)
    await target.write(start, end)
    await target.connection.execute(f"UPDATE pipeline_traces SET {column} = NULL")
    await keep_traces_as_they_are(target)
    await target.write(start)
    assert (await target.days())["starts"].different == 1


async def keep_traces_as_they_are(target: Target) -> None:
    await target.connection.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$"
    )
    await target.connection.execute(
        "CREATE TRIGGER keep BEFORE UPDATE ON pipeline_traces FOR EACH ROW EXECUTE FUNCTION keep()"
    )


async def test_a_running_trace_with_other_content_is_different(target: Target) -> None:
    start = start_of(ended_row(start_time=NOON))
    await target.write(start)
    await target.connection.execute("UPDATE pipeline_traces SET pipeline_name = 'forged'")
    await keep_traces_as_they_are(target)
    await target.write(start)
    assert (await target.days())["starts"].different == 1


async def test_an_end_of_a_trace_that_still_runs_is_missing(target: Target) -> None:
    end = ended_row(start_time=NOON)
    await target.write(start_of(end))
    await keep_traces_as_they_are(target)
    assert await target.write(end) == 0
    day = (await target.days())["ends"]
    assert (day.missing, day.different) == (1, 0)


async def test_rows_that_the_target_does_not_take_are_missing(target: Target) -> None:
    await target.connection.execute(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    for table in ("spans", "traces"):
        await target.connection.execute(
            f"CREATE TRIGGER swallow BEFORE INSERT ON pipeline_{table} FOR EACH ROW EXECUTE FUNCTION swallow()"
        )
    end = ended_row(start_time=NOON)
    assert await target.write(full_span(), start_of(end), end) == 0
    days = await target.days()
    assert {kind: (day.missing, day.equal) for kind, day in days.items()} == {
        "starts": (1, False), "spans": (1, False), "ends": (1, False),
    }  # fmt: skip


async def test_frames_that_were_read_before_are_left_out(target: Target) -> None:
    end = ended_row(start_time=NOON)
    assert await target.write(full_span(), start_of(end), end, frames=[1, 2]) == 0
    assert not await target.connection.fetch(statement("replay_days"), target.replay_id)


async def test_days_are_told_apart_in_utc(target: Target) -> None:
    await target.connection.execute("SET timezone TO 'Pacific/Kiritimati'")
    midnight = NOON + DAY // 2
    await target.write(*(full_span(start_time=midnight + offset, end_time=midnight + 9) for offset in (-1, 0, 1)))
    rows = await target.connection.fetch(statement("replay_days"), target.replay_id)
    assert [(str(row["day"]), row["source_rows"]) for row in rows] == [("2026-01-01", 1), ("2026-01-02", 2)]


async def test_digests_do_not_depend_on_order_nor_on_batches(target: Target) -> None:
    rows = [full_span() for _ in range(5)]
    await target.write(*rows)
    together = (await target.days())["spans"]
    target.replay_id = uuid4()
    for row in reversed(rows):
        await target.write(row)
    assert (await target.days())["spans"] == together


async def test_all_figures_add_up_over_batches(target: Target) -> None:
    span = full_span()
    for name in (span.span_name, "other", "another", span.span_name):
        await target.write(span._replace(span_name=name))
    day = (await target.days())["spans"]
    assert (day.source_rows, day.target_rows, day.different) == (4, 4, 2)
