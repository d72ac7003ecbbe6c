"""Faults 17 to 20: the way to Redis is frozen, a black hole, reset, or one byte wide; single replies are lost."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha1
from typing import Any

import pytest

from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import Proxy, proxied
from tracequeue.keys import events_key
from tracequeue_worker.lua import load


@contextmanager
def frozen_server(server: OwnServer, _: Proxy) -> Iterator[None]:
    server.freeze()
    yield
    server.thaw()


@contextmanager
def black_hole(_: OwnServer, proxy: Proxy) -> Iterator[None]:
    proxy.freeze()
    yield
    proxy.thaw()


@contextmanager
def resets(_: OwnServer, proxy: Proxy) -> Iterator[None]:
    """Each connection ends as soon as it is used."""
    proxy.refuse()
    yield
    proxy.accept()


@pytest.mark.parametrize("fault", [frozen_server, black_hole, resets])
async def test_redis_cannot_be_reached_for_a_while(
    own_site: Site, own_redis: OwnServer, fault: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with proxied(own_redis.url) as (proxy, url):
        bot = own_site.bot(url)
        async with own_site.working(redis_url=url) as report:
            bot.burst(20)
            await eventually(lambda: report.frames)
            with fault(own_redis, proxy):
                bot.burst(50)
                await eventually(lambda: "Redis takes no events" in caplog.text)
                await eventually(lambda: "degraded: reading from Redis" in caplog.text)
            bot.burst(20)
            await bot.stop()
            await eventually(own_site.settled)
    await own_site.assert_account_closes(bot)


async def test_redis_is_reached_one_byte_at_a_time(site: Site) -> None:
    async with proxied(site.redis_url) as (proxy, url):
        proxy.trickle()
        bot = site.bot(url)
        async with site.working(redis_url=url):
            bot.burst(50)
            await bot.stop()
            await eventually(site.settled)
    await site.assert_account_closes(bot)


async def test_a_lost_reply_to_a_read_is_found_in_the_own_pending_list(site: Site) -> None:
    async with proxied(site.redis_url) as (proxy, url):
        bot = site.bot()
        async with site.working(redis_url=url) as report:
            bot.burst(5)
            await eventually(lambda: report.frames)
            lost = proxy.lose_reply_to(b"XREADGROUP")
            bot.burst(5)
            await asyncio.wait_for(lost.wait(), 60)
            await bot.stop()
            await eventually(site.settled)
    await site.assert_account_closes(bot)


async def test_a_lost_reply_to_an_add_sends_the_frame_again_and_stores_it_once(site: Site) -> None:
    async with proxied(site.redis_url) as (proxy, url):
        bot = site.bot(url)
        lost = proxy.lose_reply_to(b"XADD")
        bot.burst(5)
        await asyncio.wait_for(lost.wait(), 60)
        await bot.stop()
    entries = await site.redis.xrange(events_key(site.prefix, 0))
    numbers = [fields[b"seq"] for _, fields in entries]
    report = await site.drain()
    assert len(numbers) > len(set(numbers)), "the frame is in the stream twice"
    assert report.known == len(numbers) - len(set(numbers))
    await site.assert_account_closes(bot)


async def test_a_lost_reply_to_the_settling_writes_no_second_dead_letter(site: Site) -> None:
    settling = b"EVALSHA\r\n$40\r\n" + sha1(load("settle").encode()).hexdigest().encode()
    bot = site.bot()
    async with proxied(site.redis_url) as (proxy, url), site.working(redis_url=url) as report:
        bot.burst(5)
        await bot.collector.flush()
        await eventually(lambda: report.frames)
        lost = proxy.lose_reply_to(settling)
        await site.redis.xadd(events_key(site.prefix, 0), {"body": '{"type":"nonsense"}'})
        await asyncio.wait_for(lost.wait(), 60)
        bot.burst(5)
        await bot.stop()
        await eventually(site.settled)
    assert [letter["reason"] for letter in await site.dead_letters()] == ["schema"]
    await site.redis.delete(f"{{{site.prefix}:0}}:dead")
    await site.assert_account_closes(bot)
