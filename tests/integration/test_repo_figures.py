"""What admins ask the read side for: the slowest, failures by their errors, tokens, and the traces of a message."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fixtures.decoded import decoded, ended_row, now, span_row, started_row
from tracequeue.gen_ai import CACHE_READ_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, PROVIDER, REQUEST_MODEL, RESPONSE_MODEL
from tracequeue.telegram import MESSAGES, message_key
from tracequeue_worker.database import create_pool
from tracequeue_worker.error_patterns import VARYING_IN_SQL, pattern_of
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sinks.postgres import PostgresSink

DAY = 86_400_000_000
HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)
SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
async def repo(migrated_database_url: str) -> AsyncIterator[TraceRepo]:
    pool = await create_pool(WorkerSettings.load(database_url=migrated_database_url), role="tracequeue_reader")
    yield TraceRepo(pool)
    await pool.close()


def called(trace_id: str | None = None, start: int | None = None, **tokens):
    """A span of a call of a language model."""
    attributes = {PROVIDER: "anthropic", RESPONSE_MODEL: "m", INPUT_TOKENS: 10, OUTPUT_TOKENS: 1} | tokens
    trace = {"trace_id": trace_id} if trace_id else {}
    return span_row(**trace, start_time=start or now(), attributes=json.dumps(attributes))


async def test_newer_pages_end_where_the_page_begins(sink: PostgresSink, repo: TraceRepo):
    start = now()
    rows = [ended_row(start_time=start - number // 2) for number in range(20)]
    await sink.write([decoded(*rows)])
    everything = await repo.get_traces()
    for number in (1, 2, 7, 19):
        cursor = everything[number].cursor
        assert await repo.get_traces(cursor=cursor, newer=True, limit=5) == everything[max(0, number - 5) : number]
    assert await repo.get_traces(cursor=everything[0].cursor, newer=True) == []


async def test_the_slowest_first(sink: PostgresSink, repo: TraceRepo):
    rows = [ended_row(duration_ms=float(number), pipeline_name="ab"[number % 2]) for number in range(8)]
    await sink.write([decoded(*rows, started_row(), ended_row(start_time=now() - DAY, duration_ms=99.0))])
    assert [trace.duration_ms for trace in await repo.get_slowest(since=HOUR_AGO, limit=3)] == [7, 6, 5]
    assert [trace.duration_ms for trace in await repo.get_slowest(since=HOUR_AGO, pipeline="a", limit=3)] == [6, 4, 2]
    assert [trace.stored_spans for trace in await repo.get_slowest(since=HOUR_AGO, limit=1)] == [0]


async def test_statistics_of_the_spans_of_one_pipeline(sink: PostgresSink, repo: TraceRepo):
    a, b = ended_row(pipeline_name="a"), ended_row(pipeline_name="b")
    spans = [
        span_row(trace_id=trace.trace_id, span_name=name) for trace in (a, b) for name in ("x", trace.pipeline_name)
    ]
    await sink.write([decoded(a, b, *spans)])
    assert [(one.name, one.count) for one in await repo.stats(by="span", pipeline="a")] == [("a", 1), ("x", 1)]
    assert [(one.name, one.count) for one in await repo.stats(pipeline="a")] == [("a", 1)]


async def test_failures_are_grouped_by_what_their_errors_have_in_common(sink: PostgresSink, repo: TraceRepo):
    start = now()
    facts = {"status": "error", "success": False}
    rows = [
        ended_row(start_time=start, error="KeyError: 'a'", pipeline_name="a", telegram_id=1, **facts),
        ended_row(start_time=start - 1, error="KeyError: 'b'", pipeline_name="b", telegram_id=2, **facts),
        ended_row(start_time=start - 2, error="KeyError: 'b'", pipeline_name="a", telegram_id=2, **facts),
        ended_row(start_time=start - 3, error="Timeout after 3.5 s", **facts),
        ended_row(start_time=start - 4, status="cancelled", success=False),
    ]
    await sink.write([decoded(*rows, ended_row(), started_row())])
    keys, timeout, cancelled = await repo.get_failures(since=HOUR_AGO)
    assert (keys.count, keys.people, keys.pipelines, keys.pattern) == (3, 2, ["a", "b"], "KeyError: …")
    assert (keys.error, keys.trace_id) == ("KeyError: 'a'", UUID(rows[0].trace_id))
    assert (timeout.error, timeout.pattern, timeout.status) == ("Timeout after 3.5 s", "Timeout after … s", "error")
    assert (cancelled.status, cancelled.error, cancelled.pattern) == ("cancelled", None, None)
    assert [failure.count for failure in await repo.get_failures(since=HOUR_AGO, pipeline="b")] == [1]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@example("at 0x7f3a deadbeef-12 12345678abc 3.5e '' \"x\" x'y")
@given(st.text(st.sampled_from("ab0189.-'\" xz:"), max_size=40))
async def test_errors_have_the_same_in_common_as_those_of_dead_letters(database, text: str):
    in_sql = await database.fetchval("SELECT regexp_replace($1, $2, '…', 'g')", text, VARYING_IN_SQL)
    assert in_sql == pattern_of(text)


async def test_tokens_by_pipeline_person_and_model(sink: PostgresSink, repo: TraceRepo):
    one, other = ended_row(pipeline_name="a", telegram_id=1), ended_row(pipeline_name="b", telegram_id=None)
    spans = [
        called(one.trace_id, **{CACHE_READ_TOKENS: 4}), called(one.trace_id, **{INPUT_TOKENS: 30}),
        called(one.trace_id, **{RESPONSE_MODEL: "n"}), called(other.trace_id), called(),
        called(other.trace_id, start=now() - DAY),
    ]  # fmt: skip
    await sink.write([decoded(one, other, *spans, span_row(trace_id=one.trace_id))])
    found = await repo.get_token_usage(since=HOUR_AGO, until=SOON)
    figures = {
        (usage.pipeline_name, usage.telegram_id, usage.model): (
            usage.calls, usage.input_tokens, usage.cache_read_tokens, usage.output_tokens,
        )
        for usage in found
    }  # fmt: skip
    assert figures == {
        ("a", 1, "m"): (2, 40, 4, 2),
        ("a", 1, "n"): (1, 10, 0, 1),
        ("b", None, "m"): (1, 10, 0, 1),
        (None, None, "m"): (1, 10, 0, 1),
    }


async def test_tokens_are_kept_apart_by_size_and_time(sink: PostgresSink, repo: TraceRepo):
    start = now()
    trace = ended_row()
    spans = [called(trace.trace_id, start + number, **{INPUT_TOKENS: number}) for number in (99, 100, 101, 300)]
    await sink.write([decoded(trace, *spans)])
    sizes = await repo.get_token_usage(since=HOUR_AGO, until=SOON, sizes=[100, 200])
    assert sorted((usage.calls, usage.input_tokens) for usage in sizes) == [(1, 99), (1, 300), (2, 201)]
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=start + 101)
    times = await repo.get_token_usage(since=HOUR_AGO, until=SOON, moments=[moment])
    assert sorted((usage.calls, usage.input_tokens) for usage in times) == [(2, 199), (2, 401)]
    assert min(usage.first_time for usage in times) < moment == max(usage.first_time for usage in times)


@pytest.mark.parametrize("strange", ["12", -5, None, True, [1], {"a": 1}, 1.9, 1e300])
async def test_strange_tokens_of_foreign_producers_break_nothing(sink: PostgresSink, repo: TraceRepo, strange):
    await sink.write([decoded(called(**{INPUT_TOKENS: strange, PROVIDER: strange, REQUEST_MODEL: strange}))])
    (usage,) = await repo.get_token_usage(since=HOUR_AGO, until=SOON)
    assert usage.output_tokens == 1
    assert usage.input_tokens >= 0


async def test_a_trace_that_is_stored_twice_does_not_double_its_tokens(sink: PostgresSink, repo: TraceRepo):
    trace = ended_row()
    await sink.write([decoded(trace, called(trace.trace_id))])
    await sink.write([decoded(trace._replace(start_time=trace.start_time - 5))])
    assert [usage.calls for usage in await repo.get_token_usage(since=HOUR_AGO, until=SOON)] == [1]


async def test_the_traces_of_a_message(sink: PostgresSink, repo: TraceRepo):
    start, bot, chat, message = now(), 1, 42, 7
    key = message_key(bot, chat, message)

    def noted(*keys: str, at: int = start, session: str = "42"):
        return ended_row(start_time=at, session_id=session, metadata=json.dumps({MESSAGES: list(keys), "plan": "pro"}))

    first, second = noted(key, at=start - 10), noted("1:42:6", key, session="a conversation")
    others = [noted("1:42:77"), noted("1:4:27"), noted("2:42:7"), noted(key, at=start - 2 * DAY), ended_row()]
    await sink.write([decoded(first, second, *others)])
    found = await repo.get_traces_of_message(bot, chat, message, since=HOUR_AGO, until=SOON)
    assert [str(trace.trace_id) for trace in found] == [second.trace_id, first.trace_id]
    assert await repo.get_traces_of_message(bot, chat, 8, since=HOUR_AGO, until=SOON) == []
    assert uuid4() not in found
