"""Faults 39 to 42: the database refuses to work, or its schema is not as it was. Nothing is lost, all of it is held.

Every error is the server's own; none is raised by a trigger of ours. What a sick database refuses becomes no dead
letter, and it flows again once the database is cured, without a restart of the worker.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually
from tracequeue_worker import backoff, database

WRITERS = "FROM pg_stat_activity WHERE application_name = 'tracequeue writer' AND datname = current_database()"


@pytest.fixture
def own(site: Site, own_postgres: OwnServer) -> Site:
    """A deployment on a Postgres that only this test uses."""
    return replace(site, database_url=own_postgres.url)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers look soon whether somebody cured what they hold, so that a test is soon over."""
    monkeypatch.setattr(backoff, "PROBE_SECONDS", 0.5)


async def pids(site: Site, condition: str = "true") -> list[int]:
    """The backends of workers that are like this."""
    return [row["pid"] for row in await site.fetch(f"SELECT pid {WRITERS} AND {condition}")]


async def reconnect(site: Site) -> None:
    """End the workers' connections."""
    await site.fetch(f"SELECT pg_terminate_backend(pid, 5000) {WRITERS}")


async def test_too_many_connections_53300(own: Site, own_postgres: OwnServer) -> None:
    own_postgres.stop()
    own_postgres.start("-c", "max_connections=10")
    hogs: list[asyncpg.Connection] = []
    async with own.flowing():
        observer = await asyncpg.connect(own.database_url)
        while "53300" not in own_postgres.log:
            with suppress(asyncpg.TooManyConnectionsError):
                hogs.append(await asyncpg.connect(own.database_url))
            await observer.fetch(f"SELECT pg_terminate_backend(pid) {WRITERS}")
        for connection in (observer, *hogs):
            await connection.close()


async def test_disk_full_53100(own: Site, own_postgres: OwnServer) -> None:
    """The file of the ledger is on a device without room."""
    folder = (await own.fetch("SHOW data_directory"))[0][0]
    file = (await own.fetch("SELECT pg_relation_filepath('pipeline_frames')"))[0][0]
    bot = own.bot()
    async with own.working():
        with no_room_for(Path(folder, file)):
            async with bot.emitting():
                await eventually(lambda: "53100" in own_postgres.log)
            assert not await own.fetch("SELECT FROM pipeline_spans")
        await eventually(own.settled)
    await own.assert_account_closes(bot)


@contextmanager
def no_room_for(file: Path) -> Iterator[None]:
    """Every write to it fails as on a full disk. It must be empty."""
    away = file.with_suffix(".away")
    file.rename(away)
    file.symlink_to("/dev/full")
    try:
        yield
    finally:
        away.replace(file)


async def test_out_of_memory_53200(own: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Of the memory that all backends share: somebody took all the locks that it has room for."""
    async with own.flowing(), connected(own.database_url) as hog:
        with suppress(asyncpg.OutOfMemoryError):
            await hog.execute("SELECT pg_advisory_lock(number) FROM generate_series(1, 10000000) AS number")
        await eventually(lambda: "(53200)" in caplog.text)


async def test_cannot_connect_now_57p03(own: Site, own_postgres: OwnServer) -> None:
    """A smart shutdown waits for those who are there, and lets nobody in."""
    guest = await asyncpg.connect(own.database_url)
    async with own.flowing():
        own_postgres.processes()[0].send_signal(signal.SIGTERM)
        while "57P03" not in own_postgres.log:
            await guest.fetch(f"SELECT pg_terminate_backend(pid) {WRITERS}")
        await guest.close()
        await asyncio.to_thread(own_postgres.stop)
        await asyncio.to_thread(own_postgres.start)


async def test_query_canceled_57014(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.flowing(), site.holding("LOCK TABLE pipeline_spans IN ACCESS EXCLUSIVE MODE"):
        (pid,) = await eventually(lambda: pids(site, "wait_event_type = 'Lock'"))
        await site.fetch("SELECT pg_cancel_backend($1)", pid)
        await eventually(lambda: "(57014)" in caplog.text)


async def test_lock_not_available_55p03(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 0.3)
    async with site.flowing(), site.holding("LOCK TABLE pipeline_spans IN ACCESS EXCLUSIVE MODE"):
        await eventually(lambda: "(55P03)" in caplog.text)


async def test_read_only_25006(own: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with own.flowing():
        await own.fetch("ALTER SYSTEM SET default_transaction_read_only = on")
        await own.fetch("SELECT pg_reload_conf()")
        await eventually(lambda: "(25006)" in caplog.text)
        await own.fetch("ALTER SYSTEM RESET default_transaction_read_only")
        await own.fetch("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("code", "break_it", "mend"),
    [
        ("42P01", "ALTER TABLE pipeline_frames RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO pipeline_frames"),
        (
            "42703",
            "ALTER TABLE pipeline_spans RENAME COLUMN attributes TO facts",
            "ALTER TABLE pipeline_spans RENAME COLUMN facts TO attributes",
        ),
        (
            "42501",
            "REVOKE INSERT ON pipeline_spans FROM tracequeue_writer",
            "GRANT INSERT ON pipeline_spans TO tracequeue_writer",
        ),
    ],
)
async def test_a_schema_that_broke_is_held_until_it_is_mended(
    site: Site, caplog: pytest.LogCaptureFixture, code: str, break_it: str, mend: str
) -> None:
    async with site.flowing():
        await site.fetch(break_it)
        await eventually(lambda: held_for(code, caplog))
        await site.fetch(mend)


def held_for(code: str, caplog: pytest.LogCaptureFixture) -> bool:
    """Whether a worker said, as an error, that it holds everything because of this, and what to do."""
    return any(
        record.levelname == "ERROR" and record.message.startswith("held: ") and f"({code}): " in record.message
        for record in caplog.records
    )


async def test_a_password_that_was_changed_28p01(own: Site, caplog: pytest.LogCaptureFixture) -> None:
    await own.fetch("CREATE ROLE clerk LOGIN PASSWORD 'first' IN ROLE tracequeue_writer")
    url = own.database_url.replace("postgres:tracequeue@", "clerk:first@")
    async with own.flowing(database_url=url):
        await own.fetch("ALTER ROLE clerk PASSWORD 'second'")
        await reconnect(own)
        await eventually(lambda: held_for("28P01", caplog))
        assert "first" not in caplog.text
        await own.fetch("ALTER ROLE clerk PASSWORD 'first'")


async def test_a_database_that_is_gone_3d000(own: Site, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = own.database_url.removesuffix("postgres") + "template1"
    async with own.flowing(), connected(elsewhere) as admin:
        await admin.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
        await admin.fetch("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'postgres'")
        await admin.execute("ALTER DATABASE postgres RENAME TO away")
        await eventually(lambda: held_for("3D000", caplog))
        await admin.execute("ALTER DATABASE away RENAME TO postgres")
        await admin.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS true")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def detach_partitions(site: Site) -> None:
    """Take all partitions out of their tables. They stay, with their rows."""
    for row in await site.fetch(
        "SELECT inhparent::regclass AS parent, inhrelid::regclass AS child FROM pg_inherits "
        "WHERE inhparent IN ('pipeline_spans'::regclass, 'pipeline_traces'::regclass)"
    ):
        await site.fetch(f"ALTER TABLE {row['parent']} DETACH PARTITION {row['child']}")


async def test_a_partition_that_was_taken_away_is_put_back(site: Site) -> None:
    """With the rows that it has."""
    async with site.flowing() as report:
        for _ in range(3):
            before = report.frames
            await detach_partitions(site)
            await eventually(lambda before=before: report.frames > before)


async def test_a_partition_that_cannot_be_made_is_no_fault_of_the_records(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """23514 without the name of a constraint. With one it is a CHECK: that is the records' fault."""
    (makes,) = await site.fetch("SELECT pg_get_functiondef('pipeline_ensure_partition'::regproc)")
    async with site.flowing():
        await site.fetch(
            "CREATE OR REPLACE FUNCTION pipeline_ensure_partition(day date) RETURNS boolean LANGUAGE sql "
            "AS 'SELECT false'"
        )
        await detach_partitions(site)
        await eventually(lambda: held_for("23514", caplog))
        await site.fetch(makes[0])


async def test_a_check_with_a_name_is_the_records_fault(site: Site) -> None:
    await site.fetch("ALTER TABLE pipeline_spans ADD CONSTRAINT no_third_step CHECK (span_name <> 'step:3')")
    bot = site.bot()
    async with site.working():
        bot.burst(10, spans=4)
        await bot.stop()
        await eventually(site.settled)
    refused = sum(name == "step:3" for name, _ in bot.journal.spans.values())
    assert {letter["reason"] for letter in await site.dead_letters()} == {"store:23514"}
    await site.assert_account_closes(bot, dead=refused)


async def test_tables_are_altered_while_rows_flow(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Statements that were prepared before are stale then; a type that changes makes the server refuse their plans."""
    async with site.flowing() as report:
        for statement in (
            "ALTER TABLE pipeline_spans ADD COLUMN colour text DEFAULT 'red'",
            "ALTER TABLE pipeline_frames ALTER COLUMN partition TYPE bigint",
            "ALTER TABLE pipeline_spans ALTER COLUMN kind TYPE varchar(300)",
            "ALTER TABLE pipeline_spans DROP COLUMN colour",
            "ALTER TABLE pipeline_frames ALTER COLUMN partition TYPE integer",
            "CREATE INDEX ON pipeline_spans (kind)",
        ):
            before = report.frames
            await site.fetch(statement)
            await eventually(lambda before=before: report.frames > before + 1)
    assert "held: " not in caplog.text
