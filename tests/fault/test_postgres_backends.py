"""Faults 34 and 35: a backend is killed, or its connection cut, at each moment of a transaction; the worker goes on."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import Proxy, proxied

ROWS_OF_A_COPY = b"PGCOPY\n"
COMMIT = b"COMMIT\0"
WRITERS = "FROM pg_stat_activity WHERE application_name = 'tracequeue writer' AND datname = current_database()"


async def kill_backends(site: Site) -> int:
    """Terminate every backend of a worker; how many there were."""
    return len(await site.fetch(f"SELECT pg_terminate_backend(pid, 5000) {WRITERS}"))


async def backends(site: Site, condition: str) -> int:
    """How many backends of workers are like this."""
    return len(await site.fetch(f"SELECT {WRITERS} AND {condition}"))


async def test_backends_killed_again_and_again(site: Site) -> None:
    bot = site.bot()
    async with site.working() as report:
        async with bot.emitting():
            for _ in range(5):
                before = report.frames
                await eventually(lambda before=before: report.frames > before + 3)
                assert await kill_backends(site)
        await eventually(site.settled)
    await site.assert_account_closes(bot)


async def test_a_backend_killed_while_idle(site: Site) -> None:
    """The pool gives it out once more: the first statement fails, without any SQLSTATE."""
    bot = site.bot()
    async with site.working() as report:
        bot.burst(5)
        await eventually(site.settled)
        await eventually(lambda: backends(site, "state = 'idle'"))
        assert await kill_backends(site) == 1
        before = report.frames
        bot.burst(5)
        await bot.stop()
        await eventually(lambda: report.frames > before)
        await eventually(site.settled)
    await site.assert_account_closes(bot)


@pytest.mark.parametrize(
    ("moment", "condition"),
    [
        pytest.param(ROWS_OF_A_COPY, "state = 'active' AND query LIKE 'COPY%'", id="in the middle of COPY"),
        pytest.param(COMMIT, "state = 'idle in transaction'", id="before COMMIT arrives"),
    ],
)
async def test_a_backend_killed_inside_a_transaction(site: Site, moment: bytes, condition: str) -> None:
    """The way is frozen at that moment, so that the backend waits there for more, and dies there."""
    bot = site.bot()
    async with proxied(site.database_url) as (proxy, url), site.working(database_url=url) as report:
        reached = proxy.freeze_before(moment)
        async with bot.emitting():
            await eventually(reached.is_set)
            await eventually(lambda: backends(site, condition))
            assert await kill_backends(site)
            assert report.frames == 0
            proxy.thaw()
            await eventually(lambda: report.frames)
        await eventually(site.settled)
    await site.assert_account_closes(bot)


async def test_a_backend_killed_while_it_commits_before_that_is_durable(site: Site) -> None:
    """A deferred trigger makes COMMIT itself wait for a lock."""
    for statement in (
        "CREATE FUNCTION wait_for_us() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON pipeline_frames DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION wait_for_us()",
    ):
        await site.fetch(statement)
    bot = site.bot()
    committing = "query = 'COMMIT' AND wait_event_type = 'Lock'"
    async with site.working() as report, site.holding("SELECT pg_advisory_xact_lock(7)"), bot.emitting():
        await eventually(lambda: backends(site, committing))
        assert await kill_backends(site)
        await eventually(lambda: backends(site, committing))  # the same batch again
        assert report.frames == 0
        assert not await site.fetch("SELECT FROM pipeline_frames")
    await site.drain()
    await site.assert_account_closes(bot)


async def test_a_backend_killed_while_it_commits_after_that_is_durable(site: Site, own_postgres: OwnServer) -> None:
    """A server that waits for a standby which never comes: the commit is there, and nobody was told."""
    site = replace(site, database_url=own_postgres.url)
    bot = site.bot()
    async with site.working() as report, bot.emitting():
        await eventually(lambda: report.frames)
        await site.fetch("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await site.fetch("SELECT pg_reload_conf()")
        await eventually(lambda: backends(site, "query = 'COMMIT' AND wait_event = 'SyncRep'"))
        await site.fetch("ALTER SYSTEM RESET synchronous_standby_names")
        known = report.known
        assert await kill_backends(site)
        await site.fetch("SELECT pg_reload_conf()")
        await eventually(lambda: report.known > known)
    await site.drain()
    await site.assert_account_closes(bot)


async def test_a_connection_cut_before_the_commit_arrives(site: Site) -> None:
    await cut_at(site, lambda proxy: proxy.cut_before(COMMIT), known=False)


async def test_a_connection_cut_after_the_commit_was_sent(site: Site) -> None:
    """The rows are there, the worker cannot know: it writes the batch again, and the ledger knows each frame."""
    await cut_at(site, lambda proxy: proxy.lose_reply_to(COMMIT), known=True)


async def cut_at(site: Site, trap: Callable[[Proxy], asyncio.Event], *, known: bool) -> None:
    bot = site.bot()
    async with proxied(site.database_url) as (proxy, url), site.working(database_url=url) as report:
        async with bot.emitting():
            for _ in range(3):
                before = report.frames
                await eventually(trap(proxy).is_set)
                await eventually(lambda before=before: report.frames > before)
        await eventually(site.settled)
    assert bool(report.known) is known
    await site.assert_account_closes(bot)
