"""`tracequeue audit` as it is typed: what it prints, and how it ends."""

import time
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import redis

from tests.fixtures.bot import collecting, collecting_on_disk, two_traces
from tests.fixtures.command import Command
from tests.fixtures.frames import ended, frame, span
from tests.fixtures.postgres import database
from tests.fixtures.servers import free_port
from tracequeue import TraceContext
from tracequeue.keys import events_key


def test_it_is_closed_before_and_after_the_work(command: Command, redis_url: str, prefix: str) -> None:
    empty = command("audit")
    assert (empty.code, empty.out, empty.err) == (0, "no emitter is known yet\n", "")
    two_traces(redis_url, prefix)
    before = command("audit")
    assert before.code == 0
    assert "the account closes: 14 events, of which 14 are still on their way" in before.out
    command("worker", "--drain")
    after = command("audit")
    assert (after.code, after.err) == (0, "")
    head, row, _, verdict = after.out.splitlines()
    assert " ".join(head.split()) == (
        "emitter service emitted persisted dead letters dropped spooled in flight nowhere account"
    )
    assert row.split()[-8:] == ["14", "14", "0", "0", "0", "0", "0", "closes"]
    assert verdict == "the account closes: 14 events, each a row, a dead letter or a counted drop"
    (emitter,) = command("audit", "--json").document["emitters"]
    assert [emitter[name] for name in ("emitted", "persisted", "unaccounted", "closes", "why")] == [14, 14, 0, True, []]


@pytest.fixture
def trimmed(command: Command, redis_url: str, prefix: str) -> str:
    """The id of an emitter of whose six frames somebody trimmed the first three before they were read."""
    with collecting(redis_url, prefix) as collector:
        for _ in range(6):
            with TraceContext("support"):
                pass
            collector.flush_sync(30)
        with redis.Redis.from_url(redis_url) as client:
            client.xtrim(events_key(prefix, 0), maxlen=3, approximate=False)
        emitter_id = collector.identity.emitter_id
    command("worker", "--drain")
    return emitter_id


def test_missing_frames_are_named_and_it_ends_with_1(command: Command, prefix: str, trimmed: str) -> None:
    text = command("audit")
    assert text.code == 1
    assert "frames missing: 3 (partition 0: 1-3), with at most 6 events: taken out of the stream" in text.out
    assert f"{{{prefix}:0}}:events: 3 frames lost before a worker could store them (unread)" in text.out
    verdict = text.out.splitlines()[-1]
    assert verdict == "THE ACCOUNT of 1 emitter and of the streams (3 frames lost) DOES NOT CLOSE: see docs/account.md"
    answer = command("audit", "--json", "--emitter", trimmed)
    assert (answer.code, answer.document["closes"]) == (1, False)
    (emitter,) = answer.document["emitters"]
    assert emitter["missing"] == [{"partition": 0, "first": 1, "last": 3}]
    assert emitter["emitter_id"].replace("-", "") == trimmed


def test_an_emitter_that_nobody_knows_is_a_no(command: Command) -> None:
    unknown = str(uuid4())
    answer = command("audit", "--emitter", unknown)
    assert (answer.code, answer.out) == (1, "")
    assert f"emitter {unknown} is not known" in answer.err
    assert command("audit", "--emitter", "nonsense").code == 2


def test_a_spool_is_looked_at_where_it_is_named(command: Command, prefix: str, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    with collecting_on_disk(folder, prefix), TraceContext("support"):
        pass
    assert command("audit").out == "no emitter is known yet\n"
    for answer in (command("audit", "--spool", str(folder)), command("audit", TRACEQUEUE_SPOOL_DIR=str(folder))):
        assert answer.code == 0
        assert "2 events, of which 2 are still on their way" in answer.out
    nowhere = command("audit", "--spool", str(tmp_path / "nowhere"))
    assert nowhere.code == 3
    assert "nowhere cannot be read" in nowhere.err
    assert command("audit", TRACEQUEUE_SPOOL_DIR=str(tmp_path / "not-needed-yet")).code == 0


def test_a_partial_trace_says_why_in_the_list_and_in_the_tree(command: Command, redis_url: str, prefix: str) -> None:
    trace_id, start = str(uuid4()), time.time_ns() // 1000
    end = ended(trace_id=trace_id, start_time=start, end_time=start + 5, span_count=3, dropped={"\x1b[2J": 2})
    refused = span(trace_id=trace_id, status="splendid")
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(events_key(prefix, 0), frame(refused, end))
    command("worker", "--drain")
    why = "2 dropped by the emitter (\\x1b[2J); 1 in dead letters (schema)"
    for answer in (command("traces"), command("trace", trace_id)):
        assert (answer.code, "\x1b" in answer.out) == (0, False)
        assert why in answer.out
    (listed,) = command("traces", "--json").document
    assert (listed["completeness"], listed["stored_spans"]) == ("partial", 0)
    assert command("trace", trace_id, "--json").document["missing"] == listed["missing"]


@pytest.mark.parametrize("server", ["TRACEQUEUE_REDIS_URL", "TRACEQUEUE_DATABASE_URL"])
def test_a_server_that_is_away_is_a_3(command: Command, server: str) -> None:
    scheme = "redis" if server == "TRACEQUEUE_REDIS_URL" else "postgresql"
    answer = command("audit", **{server: f"{scheme}://127.0.0.1:{free_port()}/0"})
    assert (answer.code, answer.out) == (3, "")
    assert "start it, or check" in answer.err


def test_what_emitters_say_of_themselves_commands_no_terminal(command: Command, redis_url: str, prefix: str) -> None:
    fields = frame(span(), seq=2, meta=b'{"service":"\\u001b[31mred","host":"a\\nb"}')
    acct = b'{"emitted":3,"lost":{"\\u001b[2J":1}}'
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(events_key(prefix, 0), fields | {b"acct": acct})
    for _ in range(2):
        answer = command("audit")
        assert answer.code == 1
        assert "\x1b" not in answer.out
        assert "\\x1b[31mred" in answer.out
        command("worker", "--drain")


async def _replicate(database_url: str, spans: int) -> None:
    """Rows of two days, in an order of chance."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            f"""
            SELECT pipeline_ensure_partition('2026-01-01'), pipeline_ensure_partition('2026-01-02');
            INSERT INTO pipeline_spans (
                trace_id, span_id, start_time, span_name, end_time, duration_ms, status, success, input_data
            )
            SELECT
                '00000000-0000-0000-0000-000000000001', n, timestamptz '2026-01-01T23:00Z' + n * interval '1 minute',
                's', '2026-01-03T00:00Z', n, 'ok', true, jsonb_build_object('n', n)
            FROM generate_series(1, {spans}) AS n ORDER BY random();
            INSERT INTO pipeline_traces (trace_id, start_time, pipeline_name, tags)
            VALUES ('00000000-0000-0000-0000-000000000001', '2026-01-01T12:00Z', 'support', ARRAY['a']);
            """
        )
    finally:
        await connection.close()


async def test_two_databases_with_the_same_rows_have_the_same_digests(
    command: Command, postgres_url: str, templates: dict[str, str], migrated_database_url: str
) -> None:
    with database(postgres_url, templates[postgres_url]) as other:
        for url in (migrated_database_url, other):
            await _replicate(url, 100)
        here, there = command("audit", "--digests"), command("audit", "--digests", TRACEQUEUE_DATABASE_URL=other)
        assert (here.code, here.err, here.out) == (0, "", there.out)
        days = [line.split()[:3] for line in here.out.splitlines()]
        assert days == [["2026-01-01", "traces", "1"], ["2026-01-01", "spans", "59"], ["2026-01-02", "spans", "41"]]
        connection = await asyncpg.connect(other)
        await connection.execute("UPDATE pipeline_spans SET input_data = '{}' WHERE span_id = '61'")
        await connection.close()
        changed = command("audit", "--digests", "--json", TRACEQUEUE_DATABASE_URL=other).document["digests"]
        before = command("audit", "--digests", "--json").document["digests"]
        assert [one == two for one, two in zip(before, changed, strict=True)] == [True, True, False]
        second = command("audit", "--digests", "--since", "2026-01-02", "--json").document["digests"]
        assert second == before[2:]
        assert command("audit", "--digests", "--until", "2026-01-02", "--json").document["digests"] == before[:2]


def test_an_empty_database_has_no_digests_and_odd_options_say_why(command: Command) -> None:
    empty = command("audit", "--digests")
    assert (empty.code, empty.out, empty.err) == (0, "", "there are no rows\n")
    for options, why in (
        (("--since", "2026-01-01"), "only together with --digests"),
        (("--digests", "--emitter", str(uuid4())), "without it"),
        (("--digests", "--since", "2h"), "2h"),
    ):
        answer = command("audit", *options)
        assert answer.code == 2
        assert why in " ".join(answer.err.split())
