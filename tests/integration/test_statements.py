"""How often a batch makes the worker wait for Postgres: as often for many frames of many rows as for one of each."""

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.decoded import decoded, ended_row, span_row, started_row
from tests.fixtures.spoken import Ear, overheard
from tracequeue.frame import Account
from tracequeue_worker.records import DecodedFrame
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sinks.postgres import PostgresSink

BEGINNING = ["BEGIN", "SET", "COPY", "rows", "COPY", "rows"]
"""The staging tables, the spans, the traces."""
NEW_FRAMES = [*BEGINNING, "prepared", "SAVEPOINT", "WITH", "prepared", "COMMIT"]
"""The ledger, the spans, the traces, the emitters."""
KNOWN_FRAMES = [*BEGINNING, "prepared", "prepared", "prepared", "prepared", "COMMIT"]
"""The ledger takes none of them; what does it say of them? Their spans are taken back, and their traces."""


@pytest.fixture
async def ear(migrated_database_url: str) -> AsyncIterator[tuple[Ear, PostgresSink]]:
    """A sink that is overheard. It has written batches of both kinds before: all that is prepared is."""
    async with overheard(migrated_database_url) as (ear, url):
        sink = PostgresSink(WorkerSettings.load(database_url=url))
        await sink.open()
        for _ in range(2):
            await sink.write(frames(1, 1) * 2)
        yield ear, sink
        await sink.close()


def frames(count: int, rows: int) -> list[DecodedFrame]:
    """So many frames, each of another emitter, with so many traces, begun and ended, and as many spans."""
    kinds = (started_row, ended_row, span_row)
    return [decoded(*(make() for _ in range(rows) for make in kinds), account=Account(1, {})) for _ in range(count)]


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (1, 200), (40, 20)])
async def test_new_frames(ear: tuple[Ear, PostgresSink], count: int, rows: int) -> None:
    heard, sink = ear
    batch = frames(count, rows)
    heard.requests.clear()
    await sink.write(batch)
    assert heard.requests == NEW_FRAMES


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (40, 20)])
async def test_frames_that_come_again(ear: tuple[Ear, PostgresSink], count: int, rows: int) -> None:
    heard, sink = ear
    batch = frames(count, rows)
    await sink.write(batch)
    heard.requests.clear()
    await sink.write(batch)
    assert heard.requests == KNOWN_FRAMES
