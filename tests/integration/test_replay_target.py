"""The target of a replay is looked at before anything is written, and spoken of as the user named it."""

import asyncio

import pytest

from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually
from tests.fixtures.replays import contents, execute, fetch, fill, replay, replaying
from tests.fixtures.servers import free_port
from tracequeue_worker.errors import Fatal, LoginRefused, MigrationError, Unreachable
from tracequeue_worker.replay.progress import Progress
from tracequeue_worker.replay.target import Target
from tracequeue_worker.settings import WorkerSettings

TABLES = "SELECT relname FROM pg_class WHERE relname LIKE 'pipeline%'"


def target(url: str, option: str = "--to") -> Target:
    return Target(WorkerSettings.load(database_url=url), option)


async def test_an_empty_database_is_left_empty_unless_it_may_be_migrated(database_url: str) -> None:
    with pytest.raises(Fatal, match="has no tracequeue tables: run it again with --migrate"):
        await target(database_url).prepare()
    assert not await fetch(database_url, TABLES)
    await target(database_url).prepare(migrating=True)
    assert await fetch(database_url, TABLES)
    await target(database_url).prepare()


async def test_an_older_schema_needs_a_migration(target_url: str) -> None:
    await execute(
        target_url, "DELETE FROM pipeline_migrations WHERE version = (SELECT max(version) FROM pipeline_migrations)"
    )
    with pytest.raises(Fatal, match="older version: run it again with --migrate"):
        await target(target_url).prepare()
    await target(target_url).prepare(migrating=True)
    await target(target_url).prepare()


async def test_a_newer_schema_is_left_alone(target_url: str) -> None:
    newer = "INSERT INTO pipeline_migrations (version, name, checksum) VALUES ('29990101000000', 'later', '')"
    await execute(target_url, newer)
    for migrating in (False, True):
        with pytest.raises(MigrationError, match="newer version"):
            await target(target_url).prepare(migrating=migrating)


async def test_a_standby_takes_no_rows(own_postgres: OwnServer) -> None:
    (row,) = await fetch(own_postgres.url, "SHOW data_directory")
    await asyncio.to_thread(own_postgres.stop)
    await asyncio.to_thread(_make_standby, row["data_directory"])
    await asyncio.to_thread(own_postgres.start, "-c", "hot_standby=on")
    with pytest.raises(Fatal, match="standby"):
        await target(own_postgres.url).prepare(migrating=True)


def _make_standby(folder: str) -> None:
    from pathlib import Path

    (Path(folder) / "standby.signal").touch()


@pytest.mark.parametrize("option", ["--to", "TRACEQUEUE_DATABASE_URL"])
async def test_errors_name_what_was_typed_and_no_password(target_url: str, option: str) -> None:
    away = f"postgresql://bot:secret@127.0.0.1:{free_port()}/traces"
    refused = target_url.replace(":tracequeue@", ":secret@")
    for url, kind in ((away, Unreachable), (refused, LoginRefused)):
        with pytest.raises(kind) as raised:
            await target(url, option).prepare()
        assert option in str(raised.value)
        assert "secret" not in str(raised.value)
        assert (option == "--to") is ("TRACEQUEUE_DATABASE_URL" not in str(raised.value))


async def test_a_target_that_becomes_read_only_is_waited_for(site: Site, own_postgres: OwnServer) -> None:
    await fill(site)
    await site.drain()
    progress = Progress()
    settings = site.settings(database_url=own_postgres.url, batch_rows=20)
    read_only = "ALTER SYSTEM SET default_transaction_read_only = {}"
    async with replaying(settings, progress=progress, rate=60.0) as replayer:
        work = asyncio.create_task(replayer.run())
        await eventually(lambda: progress.events)
        await execute(own_postgres.url, read_only.format("on"))
        await execute(own_postgres.url, "SELECT pg_reload_conf()")
        await eventually(lambda: replayer.trouble)
        assert "read only" in (replayer.trouble or "")
        await _writable(own_postgres.url, read_only.format("off"))
        report = await work
    assert report.complete
    assert await contents(own_postgres.url) == await contents(site.database_url)


async def _writable(url: str, statement: str) -> None:
    await execute(url, statement)
    await execute(url, "SELECT pg_reload_conf()")


async def test_a_role_is_taken_away_in_the_middle(site: Site, target_url: str) -> None:
    await fill(site)
    progress = Progress()
    async with replaying(
        site.settings(database_url=target_url, batch_rows=20), progress=progress, rate=60.0
    ) as replayer:
        work = asyncio.create_task(replayer.run())
        await eventually(lambda: progress.events)
        await execute(target_url, "REVOKE INSERT ON pipeline_spans FROM tracequeue_writer")
        with pytest.raises(Fatal, match="42501"):
            await work
    await execute(target_url, "GRANT INSERT ON pipeline_spans TO tracequeue_writer")
    report = await replay(site, target_url)
    assert report.resumed
    assert report.complete
    assert (report.events, report.written) == (250, 250)
