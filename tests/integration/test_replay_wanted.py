"""Traces chosen from frames, in a real database: together the choices are everything, and none hides the rest."""

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest

from tests.fixtures.decoded import decoded, ended_row, span_row, started_row
from tests.fixtures.postgres import Templates
from tests.fixtures.postgres import database as fresh_database
from tracequeue.ids import new_trace_id
from tracequeue_worker.records import DecodedFrame, Rejection
from tracequeue_worker.replay.selection import Selection
from tracequeue_worker.replay.wanted_traces import WantedTraces
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sinks.postgres import PostgresSink

PIPELINES = ("coach", "support")
START = 1_793_491_200_000_000


def history(chance: random.Random) -> list[DecodedFrame]:
    """The events of some traces of two pipelines, cut into frames as they come; some events were refused."""
    traces = [(str(new_trace_id()), chance.choice(PIPELINES), START + number) for number in range(12)]
    events: list[Any] = []
    for trace_id, pipeline, start in traces:
        shared = {"trace_id": trace_id, "pipeline_name": pipeline, "start_time": start}
        events.append(started_row(**shared))
        events += [span_row(trace_id=trace_id, start_time=start) for _ in range(chance.randrange(6))]
        events += [Rejection(0, "schema", "no span", trace_id) for _ in range(chance.randrange(2))]
        events.append(ended_row(**shared, end_time=start + 5))
    chance.shuffle(events)
    frames = []
    while events:
        lines, events = events[: (size := chance.randrange(1, 9))], events[size:]
        rows = [event._replace(line=line) for line, event in enumerate(lines) if not isinstance(event, Rejection)]
        refused = [Rejection(line, *one_of(event)) for line, event in enumerate(lines) if isinstance(event, Rejection)]
        frames.append(decoded(*rows, rejections=refused, events=len(lines), seq=len(frames) + 1))
    return frames


def one_of(rejection: Rejection) -> tuple[str, str, str | None]:
    return rejection.reason, rejection.error, rejection.trace_id


@contextmanager
def choosing(frames: list[DecodedFrame], **selection: Any) -> Iterator[WantedTraces]:
    with closing(WantedTraces(Selection(**selection))) as wanted:
        for frame in frames:
            wanted.note(frame)
        yield wanted


@dataclass
class Store:
    """A database and a sink that fills it."""

    sink: PostgresSink
    connection: asyncpg.Connection

    async def rows(self) -> list[str]:
        found = []
        for table in ("pipeline_spans", "pipeline_traces"):
            query = f"SELECT (to_jsonb(t) - 'created_at' - 'emitter_id')::text AS row FROM {table} t ORDER BY 1"
            found += [record["row"] for record in await self.connection.fetch(query)]
        return found

    async def ledger(self) -> set[int]:
        return {record["seq"] for record in await self.connection.fetch("SELECT seq FROM pipeline_frames")}


@pytest.fixture
async def store(sink: PostgresSink, database: asyncpg.Connection) -> Store:
    return Store(sink, database)


@pytest.mark.parametrize("seed", range(5))
async def test_two_choices_together_are_everything(
    store: Store, seed: int, postgres_url: str, templates: Templates
) -> None:
    frames = history(random.Random(seed))
    for pipeline in PIPELINES:
        with choosing(frames, pipeline=pipeline) as wanted:
            taken = [one for frame in frames if (one := wanted.take(frame)) is not None]
            await store.sink.write(taken)
            await store.sink.write(taken)
    assert not await store.ledger()
    chosen = await store.rows()
    with fresh_database(postgres_url, templates[postgres_url]) as url:
        other = PostgresSink(WorkerSettings.load(database_url=url))
        await other.open()
        connection = await asyncpg.connect(url)
        try:
            await other.write(frames)
            assert await Store(other, connection).rows() == chosen
        finally:
            await connection.close()
            await other.close()


@pytest.mark.parametrize("seed", range(5, 10))
async def test_a_replay_of_everything_afterwards_makes_the_entries_and_doubles_nothing(store: Store, seed: int) -> None:
    frames = history(random.Random(seed))
    with choosing(frames, pipeline="coach") as wanted:
        await store.sink.write([one for frame in frames if (one := wanted.take(frame)) is not None])
    coach = await store.rows()
    stored = await store.sink.write(frames)
    assert await store.ledger() == {frame.seq for frame in frames}
    assert sum(len(one.rejections) for one in stored) == sum(len(frame.rejections) for frame in frames)
    everything = await store.rows()
    assert set(coach) < set(everything)
    keys = {(row.trace_id, row.span_id) for frame in frames for row in frame.spans}
    traces = {row.trace_id for frame in frames for row in frame.traces}
    assert len(everything) == len(keys) + len(traces)


async def test_a_frame_that_is_dead_as_a_whole_stays_so_until_all_of_it_is_stored(store: Store) -> None:
    """As a worker of an older version left it: of its other events nothing else says that they are missing."""
    rows = [started_row(pipeline_name="coach"), started_row(pipeline_name="support")]
    readable = decoded(*rows)
    whole = Rejection(None, "unknown_version", "v2")
    await store.sink.write([decoded(emitter_id=readable.emitter_id, events=2, rejections=[whole])])
    with choosing([readable], pipeline="coach") as wanted:
        chosen = wanted.take(readable)
    assert chosen is not None
    await store.sink.write([chosen])
    assert len(await store.rows()) == 1
    dead = "SELECT dead -> 0 ->> 'reason' FROM pipeline_frames"
    assert await store.connection.fetchval(dead) == "unknown_version"
    await store.sink.write([replace(readable, retry=frozenset({0, 1}))])
    assert len(await store.rows()) == 2
    assert await store.connection.fetchval(dead) is None
