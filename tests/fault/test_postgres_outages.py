"""Faults 36, 37 and 44: the database is down, frozen, behind a black hole, or was demoted. All of it arrives later."""

import asyncio
import secrets
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.fixtures.journal import Bot
from tests.fixtures.oracle import LONGEST_SECONDS, Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxied
from tests.fixtures.worker_process import memory, worker_process

BATCH_BYTES = 1_000_000
VALUE_BYTES = 50_000
ALLOWANCE = 10 * BATCH_BYTES
"""By which memory may grow while the database is away, though far more than that comes."""


@pytest.fixture
def own(site: Site, own_postgres: OwnServer) -> Site:
    """A deployment on a Postgres that only this test uses."""
    return replace(site, database_url=own_postgres.url)


@pytest.mark.parametrize("end", [OwnServer.stop, OwnServer.kill])
async def test_a_database_that_goes_and_comes_back(
    own: Site, own_postgres: OwnServer, end: Callable[[OwnServer], None], caplog: pytest.LogCaptureFixture
) -> None:
    async with own.flowing() as report:
        for _ in range(2):
            before = report.frames
            await asyncio.to_thread(end, own_postgres)
            await eventually(lambda: "degraded: writing to the store" in caplog.text)
            await asyncio.to_thread(own_postgres.start)
            await eventually(lambda before=before: report.frames > before + 1)
    assert "Traceback" not in caplog.text


async def test_memory_stays_flat_while_the_database_is_away(own: Site, own_postgres: OwnServer) -> None:
    """A worker holds a batch and fills the next one, and reads no more, however much waits in the stream."""
    bot = own.bot()
    async with worker_process(own, TRACEQUEUE_BATCH_BYTES=str(BATCH_BYTES)) as worker:
        await hand_over(bot, 5 * BATCH_BYTES)
        await eventually(own.settled)
        await asyncio.to_thread(own_postgres.stop)
        await hand_over(bot, 5 * BATCH_BYTES)
        held = await memory_at_rest(own, worker)
        await hand_over(bot, 4 * ALLOWANCE)
        assert await memory_at_rest(own, worker) < held + ALLOWANCE
        await asyncio.to_thread(own_postgres.start)
        await bot.stop()
        await eventually(own.settled, LONGEST_SECONDS)
    await own.assert_account_closes(bot)


async def hand_over(bot: Bot, size: int) -> None:
    """So many bytes, of a kind that hardly compresses."""
    for number in range(size // VALUE_BYTES):
        bot.trace(spans=1, output=secrets.token_hex(VALUE_BYTES // 2))
        if number % 50 == 0:
            assert await bot.collector.flush(30)
    assert await bot.collector.flush(30)


async def memory_at_rest(site: Site, worker: Process) -> int:
    """Once it reads no more: what is unread stays unread."""
    seen: deque[int] = deque(maxlen=50)

    async def reads_no_more() -> bool:
        seen.append(sum(one.unread for one in await site.backlog()))
        return len(seen) == seen.maxlen and len(set(seen)) == 1 and seen[0] > 0

    await eventually(reads_no_more)
    return memory(worker)


async def test_a_frozen_server(own: Site, own_postgres: OwnServer, caplog: pytest.LogCaptureFixture) -> None:
    """A deadline ends the statement, the connection is dropped without a word to it, and another one is tried for."""
    async with own.flowing(deadline=1):
        own_postgres.freeze()
        await eventually(lambda: "degraded: writing to the store" in caplog.text)
        own_postgres.thaw()


async def test_a_black_hole(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """What it held back arrives in the end: the server then works on statements that nobody waits for any more."""
    async with proxied(site.database_url) as (proxy, url), site.flowing(deadline=1, database_url=url):
        proxy.freeze()
        await eventually(lambda: "degraded: writing to the store" in caplog.text)
        proxy.thaw()


async def test_a_failover_that_leaves_the_connections_on_a_read_only_node(
    own: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Sessions that are there stay read only for ever; whoever connects anew may write, as behind a name that leads to
    another primary."""
    async with own.flowing():
        await own.fetch("ALTER SYSTEM SET default_transaction_read_only = on")
        await own.fetch("SELECT pg_reload_conf()")
        await eventually(lambda: "(25006)" in caplog.text)
        async with own.holding("SET TRANSACTION READ WRITE") as admin:
            await admin.execute("ALTER DATABASE postgres SET default_transaction_read_only = off")
