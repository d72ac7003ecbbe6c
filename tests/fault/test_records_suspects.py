"""Fault 33: a record that ends its backend or holds it up is found, and becomes a dead letter `suspect`.

It looks like an outage. So an outage, a slow database and a lock that somebody holds must never make one.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tests.fixtures.foreign import Producer
from tests.fixtures.frames import ended, span, started
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxied
from tracequeue_worker.records import DecodedFrame, Rejection, Stored
from tracequeue_worker.sinks.postgres import PostgresSink

DEADLINE = 0.6
LONGEST_SECONDS = 120.0

ON_A_MARK = """
CREATE FUNCTION suffer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF {mark} THEN
        {act};
    END IF;
    RETURN NEW;
END $$;
CREATE {kind} TRIGGER suffer {moment} ON {table} {mode} FOR EACH ROW EXECUTE FUNCTION suffer();
"""
BEFORE = {"kind": "", "moment": "BEFORE INSERT", "mode": ""}
AT_COMMIT = {"kind": "CONSTRAINT", "moment": "AFTER INSERT", "mode": "DEFERRABLE INITIALLY DEFERRED"}
SPANS = {"table": "pipeline_spans", "mark": "NEW.span_name = 'bad'"}
TRACES = {"table": "pipeline_traces", "mark": "NEW.pipeline_name = 'bad'"}
SLEEP, KILL = "PERFORM pg_sleep(600)", "PERFORM pg_terminate_backend(pg_backend_pid())"
RAISE = "RAISE EXCEPTION 'a rule of somebody else'"

SUFFERING = {
    "times out": SPANS | BEFORE | {"act": SLEEP},
    "ends its backend": SPANS | BEFORE | {"act": KILL},
    "ends its backend at the commit": SPANS | AT_COMMIT | {"act": KILL},
    "an error of no known class": SPANS | BEFORE | {"act": RAISE},
}


def whole_trace() -> list[dict[str, Any]]:
    start = started()
    return [start, ended(trace_id=start["trace_id"], start_time=start["start_time"])]


class Searches:
    """How often a worker began to write, and how often it had looked for a suspect."""

    def __init__(self) -> None:
        self.writes = self.looks = 0


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Searches:
    seen = Searches()
    write, find_suspects = PostgresSink.write, PostgresSink.find_suspects

    async def count_write(sink: PostgresSink, *arguments: Any) -> list[Stored]:
        seen.writes += 1
        return await write(sink, *arguments)

    async def count_look(sink: PostgresSink, frame: DecodedFrame) -> Sequence[Rejection]:
        try:
            return await find_suspects(sink, frame)
        finally:
            seen.looks += 1

    monkeypatch.setattr(PostgresSink, "write", count_write)
    monkeypatch.setattr(PostgresSink, "find_suspects", count_look)
    return seen


@pytest.mark.parametrize("name", SUFFERING)
async def test_a_record_that_no_backend_survives_is_isolated(site: Site, name: str) -> None:
    await site.execute(ON_A_MARK.format(**SUFFERING[name]))
    producer = Producer(site.redis, site.prefix)
    for _ in range(3):
        await producer.send(span(), span())
    await producer.send(span(), *whole_trace(), span(span_name="bad"), span())
    await producer.send(span())
    async with site.working(deadline=DEADLINE):
        await eventually(site.settled, LONGEST_SECONDS)
    (letter,) = await site.dead_letters()
    assert (letter["reason"], letter["index"]) == ("suspect", "3")
    await site.assert_account_closes(producer, dead=1)


async def test_a_trace_that_no_backend_survives_is_isolated(site: Site) -> None:
    await site.execute(ON_A_MARK.format(**TRACES | BEFORE | {"act": KILL}))
    producer = Producer(site.redis, site.prefix)
    start, end = whole_trace()
    await producer.send(
        span(), *whole_trace(), start | {"pipeline_name": "bad"}, end | {"pipeline_name": "bad"}, span()
    )
    async with site.working(deadline=DEADLINE):
        await eventually(site.settled, LONGEST_SECONDS)
    assert [(letter["reason"], letter["index"]) for letter in await site.dead_letters()] == [
        ("suspect", "3"),
        ("suspect", "4"),
    ]
    await site.assert_account_closes(producer, dead=2)


async def test_several_in_a_frame_beside_one_that_is_refused(site: Site) -> None:
    await site.execute(ON_A_MARK.format(**SPANS | BEFORE | {"act": KILL}))
    await site.execute("ALTER TABLE pipeline_spans ADD CONSTRAINT known_kinds CHECK (kind <> 'odd')")
    producer = Producer(site.redis, site.prefix)
    await producer.send(span(span_name="bad"), *(span() for _ in range(5)), span(kind="odd"), span(span_name="bad"))
    async with site.working(deadline=DEADLINE):
        await eventually(site.settled, LONGEST_SECONDS)
    letters = {(letter["index"], letter["reason"]) for letter in await site.dead_letters()}
    assert letters == {("0", "suspect"), ("6", "store:23514"), ("7", "suspect")}
    await site.assert_account_closes(producer, dead=3)


@pytest.fixture
async def waiting(site: Site) -> AsyncIterator[Producer]:
    """A frame of several records, that must all be rows in the end."""
    producer = Producer(site.redis, site.prefix)
    await producer.send(*(span() for _ in range(6)))
    yield producer
    await site.assert_account_closes(producer)


async def test_a_frozen_database_makes_no_suspects(
    site: Site, waiting: Producer, searches: Searches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracequeue_worker.database.CONNECT_TIMEOUT", 0.5)
    async with proxied(site.database_url) as (proxy, url), site.working(deadline=0.2, database_url=url) as report:
        await eventually(lambda: report.frames)
        proxy.freeze()
        await waiting.send(span())
        await eventually(lambda: searches.looks, LONGEST_SECONDS)
        proxy.thaw()
        await eventually(site.settled, LONGEST_SECONDS)


@pytest.mark.parametrize("words", [b"COMMIT", b"INTO public.pipeline_spans"])
async def test_connections_cut_in_every_write_make_no_suspects(
    site: Site, waiting: Producer, searches: Searches, words: bytes
) -> None:
    """A search rolls back and never commits: before a COMMIT every record looks well, before an INSERT none does."""
    async with proxied(site.database_url) as (proxy, url):
        sprung = proxy.cut_before(words)
        async with site.working(deadline=2.0, database_url=url):
            while not searches.looks:
                await asyncio.wait_for(sprung.wait(), LONGEST_SECONDS)
                sprung = proxy.cut_before(words)
            await eventually(site.settled, LONGEST_SECONDS)


async def test_connections_cut_at_any_moment_make_no_suspects(
    site: Site, waiting: Producer, searches: Searches
) -> None:
    """So often that hardly anything gets through, the search for suspects neither."""
    chance = random.Random(7)
    async with proxied(site.database_url) as (proxy, url), site.working(deadline=2.0, database_url=url):
        while searches.looks < 3 and not await site.settled():
            await asyncio.sleep(chance.uniform(0.02, 0.2))
            await waiting.send(span())
            proxy.cut()
        await eventually(site.settled, LONGEST_SECONDS)


@pytest.mark.parametrize("table", ["pipeline_spans", "pipeline_emitters"])
async def test_a_locked_table_makes_no_suspects(site: Site, waiting: Producer, searches: Searches, table: str) -> None:
    async with site.holding(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"), site.working(deadline=DEADLINE):
        await eventually(lambda: searches.writes > 5, LONGEST_SECONDS)
    await site.drain()


async def test_a_row_that_somebody_holds_makes_no_suspect(site: Site, waiting: Producer, searches: Searches) -> None:
    """Only one trace is locked, so that anything else can be written meanwhile."""
    trace = started()
    await waiting.send(trace)
    await site.drain()
    async with site.holding("UPDATE pipeline_traces SET user_id = user_id"), site.working(deadline=DEADLINE):
        await waiting.send(ended(trace_id=trace["trace_id"], start_time=trace["start_time"]))
        await eventually(lambda: searches.writes > 5, LONGEST_SECONDS)
    await site.drain()


async def test_a_slow_database_makes_no_suspects(site: Site, waiting: Producer, searches: Searches) -> None:
    """A record alone can be written, all records of a frame together take longer than a statement may."""
    await site.execute(ON_A_MARK.format(**SPANS | BEFORE | {"act": "PERFORM pg_sleep(0.15)", "mark": "true"}))
    async with site.working(deadline=DEADLINE):
        await eventually(lambda: searches.looks, LONGEST_SECONDS)
        await site.execute("DROP TRIGGER suffer ON pipeline_spans")
        await eventually(site.settled, LONGEST_SECONDS)
