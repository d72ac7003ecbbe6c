"""Fault 49: a replay beside live workers, twice, and in two processes at once: the same rows, and no group notices."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.replays import contents, fetch, figures, fill, replay, replay_process, report_of
from tracequeue.keys import events_key
from tracequeue_worker.streams import Membership

SMALL_VARIABLES = {"TRACEQUEUE_BATCH_ROWS": "20"}


async def group_state(site: Site) -> list[Any]:
    """All that Redis says of the groups, but for how long each consumer has been idle."""
    key = events_key(site.prefix, 0)
    consumers = [
        {name: value for name, value in one.items() if name not in ("idle", "inactive")}
        for one in await site.redis.xinfo_consumers(key, "persist")
    ]
    pending = await site.redis.xpending_range(key, "persist", "-", "+", 1000)
    deliveries = [(one["message_id"], one["consumer"], one["times_delivered"]) for one in pending]
    return [await site.redis.xinfo_groups(key), consumers, deliveries]


async def test_no_group_notices(site: Site, target_url: str) -> None:
    await fill(site, 20)
    await site.drain()
    await fill(site, 20)
    await site.redis.xreadgroup("persist", "w1", {events_key(site.prefix, 0): ">"}, count=10)
    before = await group_state(site)
    keys = await site.redis.keys(f"*{site.prefix}*")
    length = await site.redis.xlen(events_key(site.prefix, 0))
    report = await replay(site, target_url)
    assert report.complete
    assert report.written == 200
    assert await group_state(site) == before
    assert await site.redis.keys(f"*{site.prefix}*") == keys
    assert await site.redis.xlen(events_key(site.prefix, 0)) == length


async def test_beside_a_worker_into_another_database_and_into_its_own(site: Site, target_url: str) -> None:
    bot = site.bot()
    async with site.working() as working:
        async with bot.emitting():
            await eventually(lambda: working.frames > 5)
            elsewhere, here = await asyncio.gather(replay(site, target_url), replay(site, site.database_url))
            assert elsewhere.complete
            assert here.complete
            stored = working.frames
            await eventually(lambda: working.frames > stored)
        await eventually(site.settled)
    await site.assert_account_closes(bot)
    whole = await replay(site, target_url)
    assert whole.complete
    assert whole.present >= elsewhere.written
    assert await contents(target_url) == await contents(site.database_url)


async def test_twice_into_the_same_database(site: Site, target_url: str) -> None:
    await fill(site)
    await site.drain()
    first = await replay(site, target_url)
    after_the_first = await contents(target_url)
    second = await replay(site, target_url)
    assert (first.written, second.written, second.present) == (250, 0, 250)
    assert [day.target_digest for day in first.days] == [day.target_digest for day in second.days]
    assert await contents(target_url) == after_the_first == await contents(site.database_url)


async def test_in_processes_at_once(site: Site, target_url: str) -> None:
    await fill(site, 200)
    await site.drain()
    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(replay_process(site, target_url, **SMALL_VARIABLES)) for _ in range(3)
        ]
        reports = await asyncio.gather(*map(report_of, processes))
    assert all(report.complete for report in reports)
    by_replay = {report.replay_id: report for report in reports}
    assert sum(report.written for report in by_replay.values()) == 1000
    for replay_id, report in by_replay.items():
        same = [figures(one) for one in reports if one.replay_id == replay_id]
        assert all(one == same[0] for one in same)
        assert report.events == 1000
    assert await contents(target_url) == await contents(site.database_url)
    assert not await fetch(target_url, "SELECT FROM pipeline_replays WHERE finished_at IS NULL")


async def test_a_deployment_without_a_group_gets_none(site: Site, target_url: str) -> None:
    await fill(site, 3)
    assert (await replay(site, target_url)).written == 15
    assert await site.redis.xinfo_groups(events_key(site.prefix, 0)) == []
    assert Membership.of(site.settings()).group == "persist"
