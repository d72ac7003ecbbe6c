"""Faults 21 and 22: a read that blocks longer than the socket waits, and reads that are cancelled."""

import asyncio

import pytest

from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue_worker.reader import BLOCK_MS
from tracequeue_worker.service import Stop, run


async def test_a_socket_timeout_shorter_than_the_block_time_loses_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """A URL may carry it; reads of an idle stream must not fail because of it."""
    bot = site.bot()
    seconds = BLOCK_MS / 1000 / 4
    async with site.working(redis_url=f"{site.redis_url}?socket_timeout={seconds}") as report:
        bot.burst(5)
        await eventually(lambda: report.frames)
        idle_until = asyncio.get_running_loop().time() + BLOCK_MS / 1000 * 2
        await eventually(lambda: asyncio.get_running_loop().time() > idle_until)
        bot.burst(5)
        await bot.stop()
        await eventually(site.settled)
    assert "degraded" not in caplog.text
    await site.assert_account_closes(bot)


async def test_forty_workers_cancelled_in_the_middle_of_reading(site: Site) -> None:
    """What a cancelled read had already got is pending under a name that nobody has any more."""
    bot = site.bot()
    emitting = asyncio.create_task(bot.run())
    for number in range(40):
        work = asyncio.create_task(run(site.settings(), stop=Stop()))
        await eventually(lambda: is_member(site))
        for _ in range(number * 7 % 40):
            await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    bot.enough()
    await emitting
    await bot.stop()
    await site.drain()
    await site.assert_account_closes(bot)


async def is_member(site: Site) -> bool:
    return any(backlog.consumers for backlog in await site.backlog())
