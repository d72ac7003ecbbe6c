"""The migration runner on real servers."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.fixtures.decoded import decoded, ended_row, span_row
from tracequeue_worker import migrate as runner
from tracequeue_worker.errors import MigrationError, Unreachable
from tracequeue_worker.migrate import migrate, migrations_directory, status
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sinks.postgres import PostgresSink

ALL = [path.name for path in sorted(migrations_directory().glob("*.sql"))]


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations that a test may change."""
    copy = tmp_path / "migrations"
    shutil.copytree(migrations_directory(), copy)
    monkeypatch.setattr(runner, "migrations_directory", lambda: copy)
    return copy


async def shape(connection: asyncpg.Connection) -> list[tuple[object, ...]]:
    """Everything that the migrations made, with rights and policies."""
    queries = (
        "SELECT oid::regclass::text, relkind::text, relrowsecurity, relacl::text FROM pg_class "
        "WHERE relname LIKE 'pipeline%' ORDER BY 1",
        "SELECT polrelid::regclass::text, polname, polcmd::text, polroles::text FROM pg_policy ORDER BY 1, 2",
        "SELECT oid::regprocedure::text, prosrc, proacl::text FROM pg_proc WHERE proname LIKE 'pipeline%' ORDER BY 1",
        "SELECT table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_name LIKE 'pipeline%' ORDER BY 1, ordinal_position",
    )
    return [tuple(row) for query in queries for row in await connection.fetch(query)]


async def test_an_empty_database_gets_everything_and_then_nothing_more(database_url, owner):
    assert [migration.file for migration in await migrate(database_url)] == ALL
    before = await shape(owner)
    assert await migrate(database_url) == []
    assert await shape(owner) == before
    assert all(migration.applied_at for migration in await status(database_url))


async def test_a_connection_may_be_given_instead(owner):
    assert len(await migrate(owner)) == len(ALL)


async def test_partitions_of_the_coming_days_are_made(database_url, owner):
    await migrate(database_url)
    today = datetime.now(UTC).date()
    names = {row["name"] for row in await owner.fetch("SELECT inhrelid::regclass::text AS name FROM pg_inherits")}
    for offset in range(7):
        for table in ("spans", "traces"):
            assert f"pipeline_parts.pipeline_{table}_{today + timedelta(days=offset):%Y%m%d}" in names


async def test_twenty_starters_at_once(database_url, owner):
    applied = await asyncio.gather(*(migrate(database_url) for _ in range(20)))
    assert sorted(len(one) for one in applied) == [0] * 19 + [len(ALL)]
    assert await owner.fetchval("SELECT count(*) FROM pipeline_migrations") == len(ALL)


async def test_a_dry_run_changes_nothing(database_url, owner):
    assert [migration.file for migration in await migrate(database_url, dry_run=True)] == ALL
    assert await shape(owner) == []
    assert [migration.applied_at for migration in await status(database_url)] == [None] * len(ALL)


async def test_every_file_can_be_applied_again(database_url, owner):
    await migrate(database_url)
    before = await shape(owner)
    for name in ALL:
        async with owner.transaction():
            await owner.execute((migrations_directory() / name).read_text())
    assert await shape(owner) == before


async def test_the_files_alone_are_enough(owner):
    """As where another tool applies them, which has a history of its own."""
    for name in ALL:
        await owner.execute((migrations_directory() / name).read_text())
    assert await owner.fetchval("SELECT pipeline_ensure_partition('2026-11-01')")


async def test_a_changed_file_is_an_error_that_names_it_and_the_cure(database_url, files):
    await migrate(database_url)
    with (files / ALL[1]).open("a") as file:
        file.write("-- changed\n")
    for call in (migrate(database_url), migrate(database_url, dry_run=True), status(database_url)):
        with pytest.raises(MigrationError, match=rf"{ALL[1]} was changed .* restore the file"):
            await call


async def test_a_database_of_a_newer_version_is_an_error(database_url, files):
    newer = files / "20991231000000_from-the-future.sql"
    newer.write_text("SELECT 1")
    await migrate(database_url)
    newer.unlink()
    with pytest.raises(MigrationError, match=r"20991231000000_from-the-future.*upgrade tracequeue"):
        await migrate(database_url)


async def test_a_failing_file_leaves_nothing_and_can_be_mended(database_url, files, owner):
    broken = files / "20991231000000_broken.sql"
    broken.write_text("CREATE TABLE half (id int); SELECT 1/0;")
    with pytest.raises(MigrationError, match=r"20991231000000_broken\.sql failed and left nothing behind: division by"):
        await migrate(database_url)
    assert await owner.fetchval("SELECT to_regclass('half')") is None
    assert await owner.fetchval("SELECT count(*) FROM pipeline_migrations") == len(ALL)
    broken.write_text("CREATE TABLE whole (id int)")
    assert [migration.file for migration in await migrate(database_url)] == [broken.name]


async def test_waiting_for_another_starter_holds_up_nobody_who_builds_an_index(database_url, owner):
    """CREATE INDEX CONCURRENTLY waits for every statement that runs: so the wait may not be one."""
    await migrate(database_url)
    await owner.execute("SELECT pg_advisory_lock($1)", runner.LOCK)
    waiting = asyncio.create_task(migrate(database_url))
    await owner.execute("CREATE TABLE plain (id int)")
    await owner.execute("CREATE INDEX CONCURRENTLY ON plain (id)")
    assert not waiting.done()
    await owner.execute("SELECT pg_advisory_unlock($1)", runner.LOCK)
    assert await waiting == []


@pytest.mark.parametrize("may_create_roles", [True, False])
async def test_an_owner_who_is_no_superuser(database_url, owner, may_create_roles):
    name = f"owner_{uuid4().hex[:8]}"
    right = "CREATEROLE" if may_create_roles else "NOCREATEROLE"
    await owner.execute(f"CREATE ROLE {name} LOGIN {right} PASSWORD 'x'")
    database = urlsplit(database_url).path[1:]
    await owner.execute(f"ALTER DATABASE {database} OWNER TO {name}")
    url = login(database_url, name, "x")
    assert len(await migrate(url)) == len(ALL)
    sink = PostgresSink(WorkerSettings.load(database_url=url))
    await sink.open()
    await sink.write([decoded(span_row(start_time=0), ended_row())])
    await sink.close()
    assert await owner.fetchval("SELECT count(*) FROM pipeline_spans") == 1
    await owner.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}")


async def test_a_login_that_may_not_create_tables_is_told_so(database_url, owner):
    name = f"guest_{uuid4().hex[:8]}"
    await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    with pytest.raises(MigrationError, match=r"permission denied .* migrate as the owner of the database"):
        await migrate(login(database_url, name, "x"))
    await owner.execute(f"DROP ROLE {name}")


async def test_a_wrong_password_is_said_without_the_password(database_url, servers):
    if urlsplit(database_url).password is None:
        pytest.fail(f"the {servers} server takes everybody: this test needs one that asks for passwords")
    with pytest.raises(Unreachable, match="password authentication failed") as caught:
        await migrate(login(database_url, "postgres", "hunter2"))
    assert "hunter2" not in str(caught.value)


def login(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}"))


RELEASED = [name for name in ALL if name < "20261122"]
"""What databases in use have already."""


async def test_a_database_in_use_gets_the_accounts_and_keeps_its_rows(database_url, files, owner):
    for name in set(ALL) - set(RELEASED):
        (files / name).rename(files.parent / name)
    await migrate(database_url)
    emitter, trace = uuid4(), uuid4()
    await owner.execute(
        "INSERT INTO pipeline_emitters (emitter_id, last_seen, emitted, lost) VALUES ($1, now(), 9, $2)",
        emitter, '{"buffer_full": 2, "internal": 1}',
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO pipeline_frames (emitter_id, partition, seq, digest, stream, entry_id, events, dead) "
        "VALUES ($1, 0, 1, '', 's', '1-1', 3, $2), ($1, 0, 2, '', 's', '1-1', 3, '[]')",
        emitter, '[{"index": 0, "reason": "schema", "error": "e"}]',
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO pipeline_traces "
        "(trace_id, start_time, pipeline_name, end_time, status, span_count, emitter_id, created_at) "
        "SELECT $1, moment, 'p', moment, 'ok', 1, $2, moment FROM (SELECT now() - interval '1 hour') AS past (moment)",
        trace, emitter,
    )  # fmt: skip
    for name in set(ALL) - set(RELEASED):
        (files.parent / name).rename(files / name)
    assert [migration.file for migration in await migrate(database_url)] == sorted(set(ALL) - set(RELEASED))
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1) as pool:
        (account,) = await TraceRepo(pool).get_accounts()
        assert (account.emitted, account.persisted, account.dead, account.in_flight) == (9, 5, 1, 0)
        assert (account.lost, account.ever_spooled) == ({"buffer_full": 2, "internal": 1}, 0)
        found = await TraceRepo(pool).get_trace(trace)
        assert (found.completeness, found.missing) == ("partial", "1 of 1 spans were not stored")


async def test_a_released_worker_goes_on_with_the_new_schema(database_url, owner):
    """Workers are replaced one by one: what the one of before writes must still be taken."""
    await migrate(database_url)
    await owner.execute(
        "INSERT INTO pipeline_emitters AS kept (emitter_id, last_seen, emitted, lost) VALUES ($1, now(), 1, '{}') "
        "ON CONFLICT (emitter_id) DO UPDATE SET emitted = excluded.emitted",
        uuid4(),
    )
    assert tuple(await owner.fetchrow("SELECT emitted, dropped, spooled FROM pipeline_emitters")) == (1, 0, 0)
