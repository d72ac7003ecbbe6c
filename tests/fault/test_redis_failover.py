"""Faults 10 and 11: the primary becomes a replica; a replica is promoted that missed some acknowledgements."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer, second_redis
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxied
from tracequeue.keys import events_key


async def test_a_demoted_primary_is_left_and_taken_up_again(own_site: Site, caplog: pytest.LogCaptureFixture) -> None:
    bot = own_site.bot()
    async with own_site.working() as report:
        emitting = asyncio.create_task(bot.run())
        await eventually(lambda: report.frames)
        await own_site.redis.replicaof("127.0.0.1", "1")
        await eventually(lambda: "degraded: reading from Redis" in caplog.text)
        await eventually(lambda: "Redis takes no events (ReadOnlyError" in caplog.text)
        await own_site.redis.replicaof("no", "one")
        before = report.frames
        await eventually(lambda: report.frames > before)
        bot.enough()
        await emitting
        await bot.stop()
        await eventually(own_site.settled)
    await own_site.assert_account_closes(bot)


@pytest.fixture
def replica(servers: str, tmp_path: Path) -> Iterator[OwnServer]:
    with second_redis(servers, tmp_path / "replica") as server:
        yield server


async def test_a_promoted_replica_that_missed_acknowledgements_delivers_again(
    own_site: Site, own_redis: OwnServer, replica: OwnServer
) -> None:
    host, port = own_redis.url.removeprefix("redis://").partition("/")[0].split(":")
    bot, key = own_site.bot(), events_key(own_site.prefix, 0)
    async with Redis.from_url(replica.url) as promoted, proxied(own_redis.url) as (proxy, url):
        await promoted.replicaof(host, port)
        bot.burst(20)
        await bot.collector.flush()
        frames = await own_site.redis.xlen(key)
        await own_site.redis.xgroup_create(key, "persist", id="0")
        await eventually(lambda: has_group(promoted, key))
        await promoted.replicaof("no", "one")
        async with own_site.working(redis_url=url) as report:
            await eventually(lambda: report.frames == frames)
            known = report.known
            proxy.lead_to(replica.url)
            proxy.cut()
            await eventually(lambda: report.known == known + frames)
    own_site.redis_url, own_site.redis = replica.url, Redis.from_url(replica.url)
    await bot.stop()
    async with own_site.redis:
        await own_site.assert_account_closes(bot)


async def has_group(client: Redis, key: str) -> bool:
    return bool(await client.exists(key)) and bool(await client.xinfo_groups(key))
