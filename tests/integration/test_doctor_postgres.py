"""What the doctor finds in Postgres: rights, migrations, partitions, strangers, and what it may forget."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.fixtures.access import PostgresAccess
from tests.fixtures.examined import all_findings, finding
from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer


async def test_rights_that_lack_in_postgres_are_named(site: Site, logins: PostgresAccess) -> None:
    await site.fetch("REVOKE INSERT ON pipeline_frames FROM tracequeue_writer")
    site.database_url = logins.worker
    rights = await finding(site, "postgres", "rights")
    assert (rights.verdict, rights.found) == ("fail", "tracequeue_writer lacks INSERT on pipeline_frames")
    site.database_url = logins.reader
    assert "INSERT on pipeline_traces" in (await finding(site, "postgres", "rights")).found


async def test_a_server_that_may_forget_what_it_committed(site: Site, own_postgres: OwnServer) -> None:
    site.database_url = own_postgres.url
    fsync = await finding(site, "postgres", "durability")
    assert (fsync.verdict, fsync.cure) == ("fail", "set fsync = on in postgresql.conf")
    own_postgres.stop()
    own_postgres.start("-c", "fsync=on")
    await site.fetch("ALTER ROLE postgres SET synchronous_commit = off")
    asynchronous = await finding(site, "postgres", "durability")
    assert asynchronous.cure == "run `ALTER ROLE postgres SET synchronous_commit = on`"
    await site.fetch(asynchronous.cure.split("`")[1])
    assert (await finding(site, "postgres", "durability")).verdict == "ok"


async def test_a_database_without_our_tables(site: Site, database_url: str) -> None:
    site.database_url = database_url
    findings = await all_findings(site)
    assert findings["postgres", "schema"].cure == "run `tracequeue migrate`"
    verdicts = [findings["postgres", check].verdict for check in ("schema", "rights", "partitions", "exposure")]
    assert verdicts == ["fail", "fail", "warn", "ok"]


async def test_a_migration_that_is_missing_or_of_a_newer_version(site: Site) -> None:
    await site.fetch("DELETE FROM pipeline_migrations WHERE version = (SELECT max(version) FROM pipeline_migrations)")
    assert (await finding(site, "postgres", "schema")).found.startswith("not applied: ")
    await site.fetch("INSERT INTO pipeline_migrations VALUES ('20991231000000', 'from-the-future', 'x')")
    newer = await finding(site, "postgres", "schema")
    assert (newer.verdict, "upgrade tracequeue" in newer.cure) == ("fail", True)


async def test_partitions_of_days_gone_by(site: Site) -> None:
    await site.fetch("ANALYZE")  # the planner may then look at the names of all tables first
    today = datetime.now(UTC).date()
    for ahead in range(1, 8):
        day = f"{today + timedelta(days=ahead):%Y%m%d}"
        await site.fetch(f"DROP TABLE pipeline_parts.pipeline_spans_{day}")
    partitions = await finding(site, "postgres", "partitions")
    assert (partitions.verdict, partitions.found) == ("warn", "none for tomorrow")
    await site.fetch(f"DROP TABLE pipeline_parts.pipeline_spans_{today:%Y%m%d}")
    assert (await finding(site, "postgres", "partitions")).found == "none for today"


async def test_partitions_are_found_whatever_the_planner_knows_of_the_catalog(site: Site) -> None:
    await site.fetch("ANALYZE pg_class")
    await site.fetch("ANALYZE pg_inherits")
    partitions = await finding(site, "postgres", "partitions")
    assert (partitions.verdict, partitions.found) == ("ok", "for today and 7 days more")


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        ("GRANT SELECT ON pipeline_spans TO PUBLIC", "PUBLIC may SELECT pipeline_spans"),
        ("ALTER TABLE pipeline_traces DISABLE ROW LEVEL SECURITY", "row level security is off on pipeline_traces"),
        ("CREATE POLICY open ON pipeline_spans USING (true)", "the policy open of pipeline_spans lets PUBLIC in"),
        ("GRANT SELECT ON pipeline_trace_status TO anon", "anon may SELECT pipeline_trace_status"),
    ],
)
async def test_tables_that_let_strangers_in(site: Site, spoil: str, found: str) -> None:
    connection = await asyncpg.connect(site.database_url)
    made = not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'anon')")
    try:
        if made:
            await connection.execute("CREATE ROLE anon")
        assert (await finding(site, "postgres", "exposure")).verdict == "ok"
        await connection.execute(spoil)
        exposure = await finding(site, "postgres", "exposure")
        assert (exposure.verdict, exposure.found) == ("fail", found)
    finally:
        await connection.execute("DROP OWNED BY anon")
        if made:
            await connection.execute("DROP ROLE anon")
        await connection.close()


async def test_a_database_that_takes_no_writes(site: Site) -> None:
    name = (await site.fetch("SELECT current_database() AS name"))[0]["name"]
    await site.fetch(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert (await finding(site, "postgres", "role")).verdict == "fail"


async def test_too_few_connections(site: Site, own_postgres: OwnServer) -> None:
    own_postgres.stop()
    own_postgres.start("-c", "max_connections=7", "-c", "superuser_reserved_connections=3")
    site.database_url = own_postgres.url
    connections = await finding(site, "postgres", "connections")
    assert (connections.verdict, "raise max_connections" in connections.cure) == ("warn", True)
