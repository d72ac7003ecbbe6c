"""Fault 9: Redis restarts without its data, is still loading, or cannot save what it has."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from redis import exceptions

from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually


async def test_killed_and_started_without_persistence(own_site: Site, own_redis: OwnServer) -> None:
    """What was settled is stored, what the bot did not get an answer for is sent again: nothing was only in Redis."""
    bot = own_site.bot()
    async with own_site.working() as report:
        bot.burst(10)
        await bot.collector.flush()
        await eventually(lambda: report.frames)
        await eventually(own_site.settled)
        await asyncio.to_thread(own_redis.kill)
        bot.burst(10)
        await asyncio.to_thread(own_redis.start)
        bot.burst(10)
        await bot.stop()
        await eventually(lambda: report.events == bot.journal.events)
    await own_site.assert_account_closes(bot)


async def test_killed_in_full_flow_with_every_write_on_disk(own_site: Site, own_redis: OwnServer) -> None:
    await asyncio.to_thread(own_redis.stop)
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    await asyncio.to_thread(own_redis.start, *durable)
    bot = own_site.bot()
    async with own_site.working() as report:
        emitting = asyncio.create_task(bot.run())
        for _ in range(3):
            before = report.frames
            await eventually(lambda before=before: report.frames > before + 5)
            await asyncio.to_thread(own_redis.kill)
            await asyncio.to_thread(own_redis.start, *durable)
        bot.enough()
        await emitting
        await bot.stop()
        await eventually(own_site.settled)
    await own_site.assert_account_closes(bot)


async def test_loading_is_waited_for(own_site: Site, own_redis: OwnServer) -> None:
    bot = own_site.bot()
    await own_site.redis.mset({f"{own_site.prefix}:ballast:{number}": "x" * 100 for number in range(20_000)})
    bot.burst(10)
    await bot.collector.flush()
    await own_site.redis.save()
    async with own_site.working() as report:
        await eventually(lambda: report.frames)
        await eventually(own_site.settled)
        await own_site.redis.save()
        await asyncio.to_thread(own_redis.stop)
        slow = ("--key-load-delay", "200", "--loading-process-events-interval-bytes", "1024")
        starting = asyncio.create_task(asyncio.to_thread(own_redis.start, *slow))
        bot.burst(10)
        await eventually(lambda: is_loading(own_site))
        await starting
        await bot.stop()
        await eventually(lambda: report.events == bot.journal.events)
    await own_site.assert_account_closes(bot)


async def test_a_redis_that_cannot_save_takes_nothing_and_loses_nothing(
    own_site: Site, own_redis: OwnServer, caplog: pytest.LogCaptureFixture
) -> None:
    bot = own_site.bot()
    async with own_site.working() as report:
        bot.burst(10)
        await bot.collector.flush()
        await eventually(lambda: report.frames)
        await own_site.redis.config_set("save", "3600 1000000")
        folder = (await own_site.redis.config_get("dir"))["dir"]
        await asyncio.to_thread(in_the_way, folder)
        await own_site.redis.bgsave()
        await eventually(lambda: last_save_failed(own_site))
        bot.burst(10)
        await eventually(lambda: "MISCONF" in caplog.text or "snapshots" in caplog.text)
        await own_site.redis.config_set("save", "")
        await bot.stop()
        await eventually(lambda: report.events == bot.journal.events)
    await own_site.assert_account_closes(bot)


async def is_loading(site: Site) -> bool:
    with suppress(exceptions.ConnectionError):
        try:
            await site.redis.ping()
        except exceptions.BusyLoadingError:
            return True
    return False


def in_the_way(folder: str) -> None:
    """A folder where the snapshot should be renamed to: root may write anywhere, but not over a folder."""
    snapshot = Path(folder) / "dump.rdb"
    snapshot.unlink(missing_ok=True)
    (snapshot / "full").mkdir(parents=True)


async def last_save_failed(site: Site) -> bool:
    return (await site.redis.info("persistence"))["rdb_last_bgsave_status"] == "err"
