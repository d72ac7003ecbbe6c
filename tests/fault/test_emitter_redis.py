"""Fault 45: Redis down, frozen, slow, full, or absent when the bot is imported. With a spool and without one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.journal import Bot
from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxied
from tracequeue import TraceContext, span, wire

Breakage = Callable[[Site, OwnServer], AbstractAsyncContextManager[None]]


@pytest.fixture(params=["with a spool", "without a spool"])
def spooling(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings of a bot."""
    return {"spool_dir": tmp_path / "spool"} if request.param == "with a spool" else {}


@asynccontextmanager
async def killed(site: Site, redis: OwnServer) -> AsyncIterator[None]:
    """It keeps what it had, receipts too."""
    await site.redis.config_set("appendfsync", "always")
    await site.redis.config_set("appendonly", "yes")
    await eventually(lambda: rewritten(site))
    await asyncio.to_thread(redis.kill)
    yield
    await asyncio.to_thread(redis.start, "--appendonly", "yes", "--appendfsync", "always")


@asynccontextmanager
async def frozen(_: Site, redis: OwnServer) -> AsyncIterator[None]:
    await asyncio.to_thread(redis.freeze)
    yield
    await asyncio.to_thread(redis.thaw)


@asynccontextmanager
async def full(site: Site, _: OwnServer) -> AsyncIterator[None]:
    await site.redis.config_set("maxmemory", 1)
    yield
    await site.redis.config_set("maxmemory", 0)


@asynccontextmanager
async def forbidding(site: Site, _: OwnServer) -> AsyncIterator[None]:
    await site.redis.acl_setuser("default", enabled=True, commands=["-xadd"])
    yield
    await site.redis.acl_setuser("default", enabled=True, commands=["+xadd"])


async def rewritten(site: Site) -> bool:
    """Whether all it holds is in its append-only file."""
    facts = await site.redis.info("persistence")
    return facts["aof_enabled"] and not facts["aof_rewrite_in_progress"] and not facts["aof_rewrite_scheduled"]


def held(bot: Bot, events: int, *, on_disk: bool) -> bool:
    stats = bot.collector.stats()
    return (stats.spooled if on_disk else stats.buffered) == events


@pytest.mark.parametrize("breakage", [killed, frozen, full, forbidding], ids=lambda breakage: breakage.__name__)
async def test_redis_goes_away_and_comes_back(
    own_site: Site, own_redis: OwnServer, spooling: dict[str, Any], breakage: Breakage
) -> None:
    bot = own_site.bot(**spooling)
    async with own_site.working() as report:
        bot.burst(10)
        assert await bot.collector.flush(30)
        await eventually(lambda: report.events == bot.journal.events)
        await eventually(own_site.settled)
        async with breakage(own_site, own_redis):
            bot.burst(50)
            await eventually(lambda: held(bot, 250, on_disk=bool(spooling)))
            bot.burst(50)
            await eventually(lambda: held(bot, 500, on_disk=bool(spooling)))
            assert not await bot.collector.flush(0)
        bot.burst(10)
        assert await bot.collector.persisted(60)
        await bot.stop()
    stats = bot.collector.stats()
    assert (stats.emitted, stats.published, stats.dropped, stats.complete) == (600, 600, {}, True)
    await own_site.assert_account_closes(bot)


async def test_redis_is_absent_when_the_bot_is_imported(
    own_site: Site, own_redis: OwnServer, spooling: dict[str, Any], bot_process: Any
) -> None:
    await asyncio.to_thread(own_redis.stop)
    bot = bot_process(own_site.redis_url, **spooling)
    bot.start()
    bot.ask("burst 50")
    await eventually(lambda: bot.ask().spooled == 250 or not spooling)
    await asyncio.to_thread(own_redis.start)
    bot.ask("burst 50")
    await eventually(lambda: bot.ask().published == 500)
    assert bot.ask("stop 30").buffered == 0
    await own_site.drain()
    await own_site.assert_account_closes(bot)


async def test_what_redis_is_silent_about_goes_to_disk_while_the_round_trip_hangs(
    own_site: Site, own_redis: OwnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round trip does not end by itself here: neither its own frames nor later ones wait for that."""
    monkeypatch.setattr(wire, "connect", partial(wire.connect, longest=3600))
    bot = own_site.bot(spool_dir=tmp_path / "spool")
    bot.trace()
    assert await bot.collector.flush(30)
    await asyncio.to_thread(own_redis.freeze)
    for events in (50, 100):
        bot.burst(10)
        await eventually(lambda events=events: bot.collector.stats().spooled == events)
    await asyncio.to_thread(own_redis.thaw)
    assert await bot.collector.flush(60)
    await bot.stop()
    await own_site.drain()
    await own_site.assert_account_closes(bot)


@pytest.mark.parametrize("seconds", [0.05, 0.6], ids=["late", "so late that frames go to disk meanwhile"])
async def test_redis_is_slow(site: Site, spooling: dict[str, Any], seconds: float) -> None:
    async with proxied(site.redis_url) as (proxy, url):
        proxy.delay(seconds)
        bot = site.bot(url, **spooling)
        for _ in range(20):
            bot.burst(5)
            await asyncio.sleep(0)
        went_to_disk = False
        while not await bot.collector.flush(0.1):
            went_to_disk = went_to_disk or bot.collector.stats().spooled > 0
        if seconds > 0.5 or not spooling:  # on a busy machine a short delay may become a long one
            assert went_to_disk == bool(spooling)
        assert (await bot.collector.stop(30)).complete
    await site.drain()
    await site.assert_account_closes(bot)


def step(bot: Bot, output: str, error: Exception | None = None) -> None:
    with span("step") as running:
        running.set_output(output)
        bot.journal.spans[running.span_id.decode()] = ("step", output)  # type: ignore[attr-defined]
        if error is not None:
            raise error


async def test_the_degrade_ladder_disk_then_counted_drops_failures_and_ends_last(
    own_site: Site, own_redis: OwnServer, tmp_path: Path
) -> None:
    """Redis is away, the disk's bound is reached, then the buffer's: only ordinary steps are lost, and counted."""
    await asyncio.to_thread(own_redis.stop)
    bot = own_site.bot(spool_dir=tmp_path / "spool", spool_bytes=2**20, buffer_bytes=2**20, compression=False)
    stats = bot.collector.stats
    bot.trace()
    await eventually(lambda: stats().spooled == 5)
    with TraceContext("support") as trace:
        bot.journal.traces.add(trace.trace_id)
        while stats().dropped.get("buffer_full", 0) < 20:
            step(bot, "x" * 50_000)
        for _ in range(20):
            with suppress(ConnectionError):
                step(bot, "what was asked of it", ConnectionError("no answer"))
    assert set(stats().dropped) == {"buffer_full"}
    assert stats().emitted == stats().spooled + stats().buffered + stats().dropped["buffer_full"]
    await asyncio.to_thread(own_redis.start)
    assert await bot.collector.flush(60)
    await bot.stop()
    await own_site.drain()
    await own_site.assert_account_closes(bot)
    failed = await own_site.fetch("SELECT FROM pipeline_spans WHERE status = 'error'")
    assert len(failed) == 20
    ended = await own_site.fetch("SELECT status FROM pipeline_traces WHERE status IS NOT NULL")
    assert len(ended) == len(bot.journal.traces)


async def test_a_redis_that_answers_but_cannot_keep_up_leaves_the_rest_to_the_disk(site: Site, tmp_path: Path) -> None:
    async with proxied(site.redis_url) as (proxy, url):
        proxy.delay(0.2)
        bot = site.bot(url, spool_dir=tmp_path / "spool", buffer_bytes=2**21, compression=False)
        with TraceContext("support") as trace:
            bot.journal.traces.add(trace.trace_id)
            while not bot.collector.stats().spooled:
                step(bot, "x" * 10_000)
                await asyncio.sleep(0.001)
        proxy.delay(0)
        assert await bot.collector.flush(60)
        await bot.stop()
    await site.drain()
    await site.assert_account_closes(bot)
