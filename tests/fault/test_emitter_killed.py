"""Promise 2 where bots are killed while Redis is away: what had reached the publisher arrives through another bot."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.bot_process import BotProcess
from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


async def test_killed_while_redis_is_away_and_sent_by_the_next_bot(
    own_site: Site, own_redis: OwnServer, bot_process: Any, folder: Path
) -> None:
    await asyncio.to_thread(own_redis.stop)
    killed = bot_process(own_site.redis_url, spool_dir=folder)
    killed.start()
    killed.ask("burst 300")
    killed.spooled()
    killed.end()
    await asyncio.to_thread(own_redis.start)
    async with own_site.working():
        next_bot = own_site.bot(spool_dir=folder)
        next_bot.trace()
        await eventually(lambda: not list(folder.iterdir()))
        await next_bot.stop()
        await eventually(own_site.settled)
    assert killed.journal.events == 300 * 5
    await own_site.assert_account_closes(killed, next_bot)


async def test_killed_in_full_flow_it_loses_only_what_had_not_reached_the_publisher(
    own_site: Site, own_redis: OwnServer, bot_process: Any, folder: Path
) -> None:
    """The bot says how much is on disk. Of what it emitted until then nothing is missing, and nothing is made up."""
    await asyncio.to_thread(own_redis.stop)
    killed = bot_process(own_site.redis_url, spool_dir=folder)
    killed.start()
    killed.tell("flow")
    on_disk = 0
    while on_disk < 2_000:
        on_disk = killed.hear().spooled
    killed.end()
    await asyncio.to_thread(own_redis.start)
    next_bot = own_site.bot(spool_dir=folder)
    await next_bot.collector.start()
    await eventually(lambda: not list(folder.iterdir()))
    await next_bot.stop()
    await own_site.drain()
    await assert_stored(own_site, killed, at_least=on_disk)


async def assert_stored(site: Site, bot: BotProcess, *, at_least: int) -> None:
    """The events of the journal's first lines, and none that is not in the journal."""
    spans = {row["span_id"] for row in await site.fetch("SELECT span_id FROM pipeline_spans")}
    traces = {str(row["trace_id"]): row["status"] for row in await site.fetch("SELECT * FROM pipeline_traces")}
    stored = [
        name in spans if kind == "span" else name in traces and (kind == "started" or traces[name] == "ok")
        for kind, name, *_ in bot.lines
    ]
    assert all(stored[:at_least])
    assert spans <= set(bot.journal.spans)
    assert await site.dead_letters() == []


async def test_several_bots_send_at_once_what_several_left(
    own_site: Site, own_redis: OwnServer, bot_process: Any, folder: Path
) -> None:
    await asyncio.to_thread(own_redis.stop)
    killed = [bot_process(own_site.redis_url, spool_dir=folder, spool_bytes=2**20) for _ in range(4)]
    for bot in killed:
        bot.start()
    for bot in killed:
        bot.ask("burst 200")
    for bot in killed:
        bot.spooled()
    for bot in killed:
        bot.end()
    await asyncio.to_thread(own_redis.start)
    others = [bot_process(own_site.redis_url, spool_dir=folder) for _ in range(3)]
    for bot in others:
        bot.start()
        bot.ask("start")
    await eventually(lambda: not list(folder.iterdir()))
    for bot in others:
        assert bot.ask("stop 30").emitted == 0
    await own_site.drain()
    await own_site.assert_account_closes(*killed)


async def test_killed_while_redis_is_frozen(
    own_site: Site, own_redis: OwnServer, bot_process: Any, folder: Path
) -> None:
    """The first round trip hangs: what it carries, and what comes after it, goes to disk while nobody answers."""
    killed = bot_process(own_site.redis_url, spool_dir=folder)
    killed.start()
    killed.ask("burst 1")
    await eventually(lambda: killed.ask().published == 5)
    await asyncio.to_thread(own_redis.freeze)
    killed.ask("burst 100")
    await eventually(lambda: killed.ask().spooled == 500)
    killed.end()
    await asyncio.to_thread(own_redis.thaw)
    next_bot = own_site.bot(spool_dir=folder)
    next_bot.trace()
    await eventually(lambda: not list(folder.iterdir()))
    await next_bot.stop()
    await own_site.drain()
    await own_site.assert_account_closes(killed, next_bot)
