"""A sick database is not a bad record: nothing is stored, nothing is rejected, and it heals."""

import asyncio

import pytest

from tests.fixtures.decoded import decoded, ended_row, indexes, now, span_row
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxied
from tracequeue_worker.errors import Fatal, Transient, Unreachable
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sinks.postgres import PostgresSink

NUL = '{"text": "\\u0000"}'


async def test_a_dropped_partition_is_made_again(sink, database):
    await sink.write([decoded(span_row())])
    for table in ("spans", "traces"):
        for row in await database.fetch(
            "SELECT inhrelid::regclass AS name FROM pg_inherits WHERE inhparent = $1::regclass", f"pipeline_{table}"
        ):
            await database.execute(f"DROP TABLE {row['name']}")
    await sink.write([decoded(span_row())])
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 1


async def test_partitions_that_cannot_be_made_are_fatal_and_nothing_is_stored(sink, database):
    await database.execute(
        "CREATE OR REPLACE FUNCTION pipeline_ensure_partition(day date) RETURNS boolean LANGUAGE sql AS 'SELECT false'"
    )
    frame = decoded(span_row(start_time=now() - 90 * 86_400_000_000), span_row(input_data=NUL))
    with pytest.raises(Fatal, match="tracequeue migrate"):
        await sink.write([frame])
    assert await database.fetchval("SELECT count(*) FROM pipeline_frames") == 0


@pytest.mark.parametrize(
    "break_it",
    [
        "DROP VIEW pipeline_trace_status; ALTER TABLE pipeline_spans RENAME TO elsewhere",
        "REVOKE INSERT ON pipeline_frames FROM tracequeue_writer",
        "DROP VIEW pipeline_trace_status; ALTER TABLE pipeline_traces RENAME COLUMN parent TO origin",
    ],
)
async def test_a_broken_schema_is_fatal_says_the_cure_and_heals(sink, database, break_it):
    frame = decoded(span_row(), ended_row(), span_row(input_data=NUL))
    await sink.write([decoded(span_row(), ended_row())])
    await database.execute(break_it)
    with pytest.raises(Fatal, match="run `tracequeue migrate`"):
        await sink.write([frame])
    for mend in (
        "ALTER TABLE IF EXISTS elsewhere RENAME TO pipeline_spans",
        "GRANT INSERT ON pipeline_frames TO tracequeue_writer",
        "DO $$ BEGIN ALTER TABLE pipeline_traces RENAME COLUMN origin TO parent; "
        "EXCEPTION WHEN undefined_column THEN END $$",
    ):
        await database.execute(mend)
    (stored,) = await sink.write([frame])
    assert indexes(stored.rejections) == [2]


async def test_a_held_lock_is_transient(migrated_database_url, database):
    sink = PostgresSink(WorkerSettings.load(database_url=migrated_database_url), deadline=0.3)
    await sink.open()
    frame = decoded(span_row())
    async with database.transaction():
        await database.execute("LOCK TABLE pipeline_frames IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Transient, match=r"55P03|57014"):
            await sink.write([frame])
    assert not (await sink.write([frame]))[0].known
    await sink.close()


async def test_a_killed_backend_is_transient_and_the_next_write_connects_again(sink, database):
    await sink.write([decoded(span_row())])
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'tracequeue writer' AND datname = current_database()"
    )
    await database.fetch(kill)
    frame = decoded(span_row())

    async def stored() -> bool:
        try:
            await sink.write([frame])
        except Transient:
            return False
        return True

    await eventually(stored)
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 2


async def test_a_backend_killed_in_the_middle_of_a_batch_leaves_nothing(sink, database):
    frame = decoded(span_row(), ended_row())
    async with database.transaction():
        await database.execute("LOCK TABLE pipeline_spans IN ACCESS EXCLUSIVE MODE")
        writing = asyncio.create_task(sink.write([frame]))
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        pid = await eventually(lambda: database.fetchval(waiting))
        await database.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(Transient):
            await writing
    assert await database.fetchval("SELECT count(*) FROM pipeline_frames") == 0
    assert not (await sink.write([frame]))[0].known


async def test_a_cancelled_write_leaves_nothing_and_returns_at_once(sink, database):
    frame = decoded(span_row(), ended_row())
    async with database.transaction():
        await database.execute("LOCK TABLE pipeline_spans IN ACCESS EXCLUSIVE MODE")
        writing = asyncio.create_task(sink.write([frame]))
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        await eventually(lambda: database.fetchval(waiting))
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert await database.fetchval("SELECT count(*) FROM pipeline_frames") == 0
    assert not (await sink.write([frame]))[0].known


async def test_a_frozen_server_does_not_hang_a_write(migrated_database_url, database):
    """As with a stopped process or a black hole: the deadline ends it, and the same batch is stored afterwards."""
    async with proxied(migrated_database_url) as (proxy, url):
        sink = PostgresSink(WorkerSettings.load(database_url=url), deadline=0.1)
        await sink.open()
        await sink.write([decoded(span_row())])
        proxy.freeze()
        frame = decoded(span_row(), ended_row())
        with pytest.raises(Transient):
            await sink.write([frame])
        proxy.thaw()
        await sink.write([frame])
        await sink.close()
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 2


@pytest.mark.parametrize("known_day", [True, False])
async def test_a_cancelled_write_to_a_frozen_server_returns(migrated_database_url, known_day):
    async with proxied(migrated_database_url) as (proxy, url):
        sink = PostgresSink(WorkerSettings.load(database_url=url), deadline=600)
        await sink.open()
        if known_day:
            await sink.write([decoded(span_row())])
        proxy.freeze()
        writing = asyncio.create_task(sink.write([decoded(span_row())]))
        await eventually(lambda: proxy.held_back)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await sink.close()


async def test_a_cut_connection_is_transient_and_the_batch_is_stored_once(migrated_database_url, database):
    async with proxied(migrated_database_url) as (proxy, url):
        sink = PostgresSink(WorkerSettings.load(database_url=url))
        await sink.open()
        frame = decoded(span_row(), ended_row())
        async with database.transaction():
            await database.execute("LOCK TABLE pipeline_spans IN ACCESS EXCLUSIVE MODE")
            writing = asyncio.create_task(sink.write([frame]))
            waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            await eventually(lambda: database.fetchval(waiting))
            proxy.cut()
            with pytest.raises(Transient):
                await writing
        await sink.write([frame])
        assert (await sink.write([frame]))[0].known
        await sink.close()
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 1


async def test_a_database_without_our_tables_is_fatal(database_url):
    with pytest.raises(Fatal, match="tracequeue migrate"):
        await PostgresSink(WorkerSettings.load(database_url=database_url)).open()


async def test_nobody_listening_is_said_without_the_password():
    sink = PostgresSink(WorkerSettings.load(database_url="postgresql://me:hunter2@127.0.0.1:1/x"))
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1/x") as caught:
        await sink.open()
    assert "hunter2" not in str(caught.value)
