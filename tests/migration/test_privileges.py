"""Who may do what: the writer no more than it needs, anonymous clients nothing, also with InsForge's default grants."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.fixtures.decoded import decoded, ended_row, span_row
from tracequeue_worker.migrate import migrate
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.sinks.postgres import PostgresSink

INSFORGE = """
DO $$ BEGIN CREATE ROLE anon NOLOGIN; EXCEPTION WHEN duplicate_object THEN END $$;
DO $$ BEGIN CREATE ROLE authenticated NOLOGIN; EXCEPTION WHEN duplicate_object THEN END $$;
DO $$ BEGIN CREATE ROLE project_admin NOLOGIN BYPASSRLS; EXCEPTION WHEN duplicate_object THEN END $$;
GRANT USAGE ON SCHEMA public TO anon, authenticated; GRANT ALL ON SCHEMA public TO project_admin;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO anon, authenticated;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO anon, authenticated;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO project_admin;
ALTER DEFAULT PRIVILEGES FOR ROLE project_admin IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO anon, authenticated;
"""
"""The roles and default grants of an InsForge server; there is no service_role."""

OURS = """
SELECT oid::regclass::text AS name FROM pg_class
WHERE relkind IN ('r', 'p', 'v') AND relname LIKE 'pipeline%' AND relnamespace NOT IN (
    SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg_%'
) ORDER BY 1
"""
ROUTINES = "SELECT oid::regprocedure::text AS name FROM pg_proc WHERE proname LIKE 'pipeline%'"


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner of a database with InsForge's roles, our tables, and a trace and a span in them."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(INSFORGE)
    await migrate(database_url)
    sink = PostgresSink(WorkerSettings.load(database_url=database_url))
    await sink.open()
    frame = decoded(span_row(), ended_row())
    await sink.write([frame, decoded(span_row(), emitter_id=frame.emitter_id)])
    await sink.close()
    await connection.execute(
        "INSERT INTO pipeline_losses (stream, reason, frames, worker) VALUES ('s', 'unread', 1, 'w')"
    )
    yield connection
    await connection.close()


@asynccontextmanager
async def acting_as(connection: asyncpg.Connection, role: str) -> AsyncIterator[None]:
    await connection.execute(f"SET ROLE {role}")
    try:
        yield
    finally:
        await connection.execute("RESET ROLE")


async def names(connection: asyncpg.Connection, query: str = OURS) -> list[str]:
    return [row["name"] for row in await connection.fetch(query)]


async def leaks(connection: asyncpg.Connection, role: str) -> list[str]:
    """What a role can do with our tables, views, partitions and functions."""
    statements = [
        statement
        for table in await names(connection)
        for statement in (f"SELECT * FROM {table}", f"INSERT INTO {table} DEFAULT VALUES", f"DELETE FROM {table}")
    ]
    may = "SELECT has_function_privilege($1, $2, 'EXECUTE')"
    routines = [name for name in await names(connection, ROUTINES) if await connection.fetchval(may, role, name)]
    return [one for one in statements if await is_allowed(connection, role, one)] + routines


async def is_allowed(connection: asyncpg.Connection, role: str, statement: str) -> bool:
    """Whether a statement does anything; refused for other reasons than rights counts as allowed."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"SET LOCAL ROLE {role}")
        rows = await connection.fetch(statement)
        return bool(rows) or not statement.startswith("SELECT")
    except (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError):
        return False  # no right; or nobody can, as with a view of several tables
    except asyncpg.PostgresError:
        return True
    finally:
        await transaction.rollback()


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_clients_can_do_nothing_at_all(owner, role):
    assert await leaks(owner, role) == []


async def test_a_sloppy_policy_is_found_by_this_very_check(owner):
    await owner.execute('CREATE POLICY "service role" ON pipeline_spans USING (true)')
    assert await leaks(owner, "anon") == []
    await owner.execute("GRANT SELECT ON pipeline_spans TO anon")
    assert await leaks(owner, "anon") == ["SELECT * FROM pipeline_spans"]


async def test_row_level_security_stands_alone_too(owner):
    """Should somebody give the rights back, the rows are still hidden."""
    await owner.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO anon")
    for table in await names(owner):
        if not table.startswith("pipeline_parts."):
            async with acting_as(owner, "anon"):
                assert await owner.fetch(f"SELECT * FROM {table}") == []


async def test_row_level_security_is_on_everywhere(owner):
    open_tables = await owner.fetch(
        "SELECT oid::regclass FROM pg_class "
        "WHERE relname LIKE 'pipeline%' AND relkind IN ('r', 'p') AND NOT relrowsecurity"
    )
    assert open_tables == []


async def test_every_policy_names_its_roles_and_no_client(owner):
    roles = await owner.fetch("SELECT DISTINCT unnest(polroles)::regrole::text AS name FROM pg_policy ORDER BY 1")
    assert [row["name"] for row in roles] == ["tracequeue_reader", "tracequeue_writer"]


REFUSED_TO_THE_WRITER = [
    "DELETE FROM pipeline_spans", "DELETE FROM pipeline_traces", "DELETE FROM pipeline_frames",
    "DELETE FROM pipeline_emitters", "UPDATE pipeline_spans SET error = 'x'", "UPDATE pipeline_frames SET events = 0",
    "TRUNCATE pipeline_spans", "DROP TABLE pipeline_spans", "ALTER TABLE pipeline_spans ADD COLUMN x int",
    "CREATE TABLE public.mine (id int)", "CREATE TABLE pipeline_parts.mine (id int)",
    "INSERT INTO pipeline_migrations (version, name, checksum) VALUES ('1', 'x', 'x')",
    "SELECT pipeline_apply_access()", "SELECT pipeline_seal('pipeline_spans')",
]  # fmt: skip


@pytest.mark.parametrize("statement", REFUSED_TO_THE_WRITER)
async def test_the_writer_can_neither_delete_nor_change_the_schema(owner, statement):
    async with acting_as(owner, "tracequeue_writer"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(statement)


async def test_the_writer_makes_partitions_by_the_function_only_and_cannot_reach_into_them(owner):
    async with acting_as(owner, "tracequeue_writer"):
        assert await owner.fetchval("SELECT pipeline_ensure_partition('2001-02-03')")
        assert not await owner.fetchval("SELECT pipeline_ensure_partition('2001-02-03')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.fetch("SELECT * FROM pipeline_parts.pipeline_spans_20010203")


async def test_a_function_of_the_callers_own_is_not_run_with_the_owners_rights(owner):
    """The owner's function does not look names up where the caller may have put other ones."""
    settings = await owner.fetch("SELECT proconfig FROM pg_proc WHERE proname LIKE 'pipeline%'")
    assert all("search_path=pg_catalog, pg_temp" in row["proconfig"] for row in settings)


async def test_the_reader_reads_and_no_more(owner):
    async with acting_as(owner, "tracequeue_reader"):
        for table in (
            "pipeline_spans",
            "pipeline_traces",
            "pipeline_frames",
            "pipeline_emitters",
            "pipeline_trace_status",
            "pipeline_conflicts",
            "pipeline_losses",
        ):
            assert await owner.fetch(f"SELECT * FROM {table}")
        for statement in ("DELETE FROM pipeline_spans", "SELECT pipeline_ensure_partition('2001-02-03')"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.execute(statement)


async def test_roles_that_come_later_get_their_rights_with_the_next_migrate(owner, database_url):
    """Supabase's service_role, made after our tables."""
    await owner.execute("CREATE ROLE service_role NOLOGIN")
    try:
        async with acting_as(owner, "service_role"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.fetch("SELECT * FROM pipeline_spans")
        await migrate(database_url)
        async with acting_as(owner, "service_role"):
            assert len(await owner.fetch("SELECT * FROM pipeline_spans")) == 1
    finally:
        await owner.execute("DROP OWNED BY service_role; DROP ROLE service_role")
