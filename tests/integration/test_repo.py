"""The read side on real servers."""

import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fixtures.decoded import decoded, ended_row, entry, now, span_row, started_row
from tracequeue.events import SpanEvent, TraceEnded, TraceStarted
from tracequeue.frame import Account
from tracequeue.ids import new_trace_id
from tracequeue_worker.database import create_pool
from tracequeue_worker.records import Rejection
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.settings import WorkerSettings

DAY = 86_400_000_000


@pytest.fixture
async def repo(migrated_database_url: str) -> AsyncIterator[TraceRepo]:
    pool = await create_pool(WorkerSettings.load(database_url=migrated_database_url), role="tracequeue_reader")
    yield TraceRepo(pool)
    await pool.close()


@pytest.fixture
async def writing_repo(migrated_database_url: str) -> AsyncIterator[TraceRepo]:
    pool = await create_pool(WorkerSettings.load(database_url=migrated_database_url), role="tracequeue_writer")
    yield TraceRepo(pool)
    await pool.close()


def at(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


async def test_events_written_one_by_one_are_read_back(writing_repo, repo):
    trace_id, start = new_trace_id(), now()
    facts = {"trace_id": trace_id, "pipeline_name": "learn", "start_time": start, "telegram_id": 5}
    await writing_repo.create_trace(TraceStarted(type="trace.started", metadata={"a": [1, None]}, **facts))
    running = await repo.get_trace(trace_id)
    assert (running.state, running.completeness, running.success) == ("running", "in flight", None)
    for name, offset in (("second", 20), ("first", 10)):
        await writing_repo.create_span(
            SpanEvent(
                type="span",
                trace_id=trace_id,
                span_id=uuid4().hex[:16],
                span_name=name,
                start_time=start + offset,
                end_time=start + 50,
                duration_ms=0.04,
                status="ok",
                success=True,
                input_data={"x": 1.5},
            )
        )
    end = {"end_time": start + 99, "duration_ms": 0.099, "status": "error", "success": False, "error": "E: no"}
    await writing_repo.create_trace(TraceEnded(type="trace.ended", span_count=2, **facts, **end))
    trace = await repo.get_trace(trace_id)
    assert (trace.state, trace.completeness, trace.stored_spans) == ("error", "complete", 2)
    assert (trace.metadata, trace.start_time, trace.end_time) == ({"a": [1, None]}, at(start), at(start + 99))
    spans = await repo.get_spans_for_trace(trace_id)
    assert [(span.span_name, span.input_data) for span in spans] == [("first", {"x": 1.5}), ("second", {"x": 1.5})]
    assert json.loads(trace.model_dump_json())["telegram_id"] == 5


async def test_the_reader_may_not_write(repo):
    event = TraceStarted(type="trace.started", trace_id=new_trace_id(), pipeline_name="learn", start_time=now())
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await repo.create_trace(event)


async def test_lists_are_filtered_newest_first_and_paged(sink, repo):
    start = now() - 3 * DAY
    rows = [
        ended_row(
            start_time=start + number * DAY // 4, telegram_id=number % 2, pipeline_name="ab"[number % 3 == 0],
            success=number % 5 > 0, status="ok" if number % 5 else "error",
        )
        for number in range(12)
    ]  # fmt: skip
    twin = rows[7]._replace(trace_id=str(new_trace_id()))
    rows.insert(8, twin)
    await sink.write([decoded(*rows)])
    ordered = [UUID(row.trace_id) for row in sorted(rows, key=lambda row: (row.start_time, row.trace_id), reverse=True)]
    by_id = {UUID(row.trace_id): row for row in rows}

    async def listed(**filters) -> list[UUID]:
        return [trace.trace_id for trace in await repo.get_traces(**filters)]

    assert await listed() == ordered
    assert await listed(limit=3) == ordered[:3]
    assert await listed(telegram_id=1) == [one for one in ordered if by_id[one].telegram_id == 1]
    assert await listed(pipeline="a", success=False) == [
        one for one in ordered if by_id[one].pipeline_name == "a" and not by_id[one].success
    ]
    since, until = at(rows[2].start_time), at(rows[6].start_time)
    assert await listed(since=since, until=until) == [
        one for one in ordered if rows[2].start_time <= by_id[one].start_time < rows[6].start_time
    ]
    for size in (1, 4, 13):
        pages, cursor = [], None
        while page := await repo.get_traces(limit=size, cursor=cursor):
            pages.append([trace.trace_id for trace in page])
            cursor = page[-1].cursor
        assert list(itertools.chain(*pages)) == ordered


@pytest.mark.parametrize("trace_id", [new_trace_id(), uuid4(), UUID(int=(2**48 - 1) << 80 | 7 << 76 | 2 << 62)])
@pytest.mark.parametrize("days", [0, 100])
async def test_a_trace_is_found_whatever_its_id_and_its_day(sink, repo, trace_id, days):
    start = now() - days * DAY
    trace = ended_row(trace_id=str(trace_id), start_time=start, end_time=start + 5)
    await sink.write([decoded(trace, span_row(trace_id=str(trace_id), start_time=start))])
    assert (await repo.get_trace(trace_id)).start_time == at(start)
    assert len(await repo.get_spans_for_trace(trace_id)) == 1


async def test_what_is_not_there(repo):
    assert await repo.get_trace(new_trace_id()) is None
    assert await repo.get_spans_for_trace(uuid4()) == []
    assert await repo.get_traces() == await repo.stats() == await repo.get_accounts() == []


async def test_spans_without_their_trace_are_found(sink, repo):
    span = span_row()
    await sink.write([decoded(span)])
    assert len(await repo.get_spans_for_trace(UUID(span.trace_id))) == 1


HOUR_AGO = now() - DAY // 24


@pytest.mark.parametrize(
    ("trace", "spans", "expected"),
    [
        (started_row(), 0, ("running", "in flight", None)),
        (ended_row(span_count=2), 2, ("ok", "complete", None)),
        (ended_row(span_count=2), 1, ("ok", "in flight", None)),
        (ended_row(status="cancelled", success=False), 0, ("cancelled", "complete", None)),
        (ended_row(span_count=2, dropped='{"queue_full": 1}'), 1,
         ("ok", "partial", '1 dropped by the emitter (queue_full)')),
    ],
)  # fmt: skip
async def test_how_a_trace_stands(sink, repo, trace, spans, expected):
    rows = [span_row(trace_id=trace.trace_id, start_time=trace.start_time) for _ in range(spans)]
    await sink.write([decoded(trace, *rows)])
    found = await repo.get_trace(UUID(trace.trace_id))
    assert (found.state, found.completeness, found.missing) == expected


async def test_a_trace_is_partial_when_its_spans_have_had_their_time(sink, repo, database):
    trace = ended_row(start_time=HOUR_AGO, end_time=HOUR_AGO + 5, span_count=3)
    await sink.write([decoded(trace, span_row(trace_id=trace.trace_id, start_time=HOUR_AGO))])
    await database.execute("UPDATE pipeline_traces SET created_at = start_time")
    found = await repo.get_trace(UUID(trace.trace_id))
    assert (found.completeness, found.missing) == ("partial", "2 of 3 spans were not stored")


async def test_a_trace_is_abandoned_when_its_emitter_is_silent_and_running_while_it_is_heard(sink, repo):
    trace = started_row(start_time=HOUR_AGO)
    old = entry()
    old = type(old)(old.stream, 0, b"%d-1" % (HOUR_AGO // 1000), {})
    frame = decoded(trace, entry=old)
    await sink.write([frame])
    found = await repo.get_trace(UUID(trace.trace_id))
    assert (found.state, found.completeness, found.missing) == ("abandoned", "partial", "the emitter went silent")
    await sink.write([decoded(emitter_id=frame.emitter_id, seq=2)])
    assert (await repo.get_trace(UUID(trace.trace_id))).state == "running"


async def test_statistics_by_pipeline_and_by_span(sink, repo):
    traces = [ended_row(duration_ms=float(number), pipeline_name="a") for number in range(1, 101)]
    failed = ended_row(pipeline_name="b", status="error", success=False, duration_ms=7.0)
    spans = [span_row(span_name=name, duration_ms=3.0) for name in ("x", "x", "y")]
    await sink.write([decoded(*traces, failed, started_row(pipeline_name="b"), *spans)])
    a, b = await repo.stats()
    assert (a.name, a.count, a.failure_share, a.p50_ms, round(a.p99_ms, 2)) == ("a", 100, 0.0, 50.5, 99.01)
    assert (b.name, b.count, b.failure_share, b.p95_ms) == ("b", 1, 1.0, 7.0)
    assert [(one.name, one.count) for one in await repo.stats(by="span")] == [("x", 2), ("y", 1)]
    assert [(one.name, one.count) for one in await repo.stats(by="span", name="x")] == [("x", 2)]
    assert [one.name for one in await repo.stats(name="b")] == ["b"]
    assert await repo.stats(until=datetime.now(UTC) - timedelta(days=2)) == []


async def test_the_account_closes(sink, repo):
    frame = decoded(
        span_row(), span_row(input_data='"\\u0000"'), ended_row(),
        rejections=[Rejection(3, "schema", "no")], events=4, account=Account(13, {"queue_full": 2}),
    )  # fmt: skip
    whole = decoded(
        emitter_id=frame.emitter_id, seq=2, events=5, rejections=[Rejection(None, "unknown_version", "9")],
        account=Account(13, {"queue_full": 2}),
    )  # fmt: skip
    await sink.write([frame, whole])
    (account,) = await repo.get_accounts()
    assert (account.emitted, account.persisted, account.dead, account.lost) == (13, 2, 7, {"queue_full": 2})
    assert account.in_flight == 2
    assert account.model_dump()["in_flight"] == 2
    await sink.write([decoded(span_row(), span_row(), emitter_id=frame.emitter_id, seq=3)])
    (account,) = await repo.get_accounts()
    assert account.in_flight == 0


async def test_frames_without_an_emitter_are_one_account(sink, repo):
    await sink.write([
        decoded(span_row(), anonymous=True, seq=0),
        decoded(span_row(), events=2, rejections=[Rejection(1, "schema", "no")], anonymous=True, seq=0),
        decoded(account=Account(0, {})),
    ])  # fmt: skip
    named, anonymous = await repo.get_accounts()
    assert (named.emitted, named.persisted, named.in_flight) == (0, 0, 0)
    assert (anonymous.emitter_id, anonymous.emitted, anonymous.persisted, anonymous.dead) == (None, 3, 2, 1)


STORABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=32)), inner),
    max_leaves=20,
)


def decimal(value: object) -> object:
    """With numbers as they are written: jsonb keeps 5e+16 as digits, which Python reads as an integer."""
    return json.loads(json.dumps(value), parse_int=Decimal, parse_float=Decimal)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(values=st.lists(STORABLE, min_size=1, max_size=10))
async def test_any_json_comes_back_as_it_went(sink, repo, values):
    trace_id, start = new_trace_id(), now()
    rows = [
        span_row(trace_id=str(trace_id), start_time=start + offset, input_data=json.dumps(value), duration_ms=0.1 + 0.2)
        for offset, value in enumerate(values)
    ]
    await sink.write([decoded(*rows)])
    found = await repo.get_spans_for_trace(trace_id)
    assert [decimal(span.input_data) for span in found] == [decimal(value) for value in values]
    assert {span.duration_ms for span in found} == {0.1 + 0.2}
