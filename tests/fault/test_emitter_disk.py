"""The disk of the spool fails: deleted, full, forbidden, damaged. The bot is not hurt, and the account closes."""

import asyncio
import os
import shutil
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


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def two_traces_left_by(killed: BotProcess, folder: Path) -> Path:
    """The segment of a bot that put two traces of three steps there."""
    killed.start()
    killed.ask("burst 1")
    killed.spooled()
    killed.ask("burst 1")
    killed.spooled()
    killed.end()
    (segment,) = files(folder)
    return segment


async def send_the_spool(site: Site, folder: Path) -> None:
    bot = site.bot(spool_dir=folder)
    await bot.collector.start()
    await eventually(lambda: not files(folder))
    await bot.stop()
    await site.drain()


async def test_the_folder_is_deleted_under_the_bot(own_site: Site, own_redis: OwnServer, folder: Path) -> None:
    """What was in it can still be read by the bot that wrote it; new frames go to a new folder."""
    await asyncio.to_thread(own_redis.stop)
    bot = own_site.bot(spool_dir=folder)
    bot.burst(10)
    await eventually(lambda: bot.collector.stats().spooled == 50)
    shutil.rmtree(folder)
    bot.burst(10)
    await eventually(lambda: bot.collector.stats().spooled == 100)
    assert files(folder)
    await asyncio.to_thread(own_redis.start)
    assert await bot.collector.flush(60)
    await bot.stop()
    await own_site.drain()
    await own_site.assert_account_closes(bot)


@pytest.mark.parametrize(
    ("prepare", "traces"),
    [
        ("", 1_200),
        ("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))", 120),
        ("open({folder!r}, 'w').close()", 10),
    ],
    ids=["its bound", "EFBIG", "no folder"],
)
async def test_a_disk_that_takes_no_more_leaves_the_rest_to_the_buffer(
    own_site: Site,
    own_redis: OwnServer,
    bot_process: Any,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    prepare: str,
    traces: int,
) -> None:
    """It is said, the frames wait in memory, and what did get to the disk is sent from there."""
    await asyncio.to_thread(own_redis.stop)
    bot = bot_process(own_site.redis_url, spool_dir=folder, spool_bytes=2**20, compression=False)
    bot.start(prepare.format(folder=str(folder)) + "\nobey()")
    stats = bot.ask(f"burst {traces}")
    assert (stats.emitted, stats.dropped) == (traces * 5, {})
    await eventually(lambda: "takes no frames" in capfd.readouterr().err)
    await asyncio.to_thread(own_redis.start)
    await eventually(lambda: bot.ask().published == traces * 5)
    assert bot.ask("stop 30").dropped == {}
    await own_site.drain()
    await own_site.assert_account_closes(bot)


async def test_a_folder_where_nobody_may_write(own_site: Site, own_redis: OwnServer) -> None:
    await asyncio.to_thread(own_redis.stop)
    bot = own_site.bot(spool_dir=Path("/sys/spool"))
    bot.burst(10)
    await eventually(lambda: bot.collector.stats().buffered == 50)
    await asyncio.to_thread(own_redis.start)
    assert await bot.collector.flush(60)
    await bot.stop()
    await own_site.drain()
    await own_site.assert_account_closes(bot)


async def test_a_frame_damaged_on_disk_is_a_dead_letter_of_its_events(
    own_site: Site, own_redis: OwnServer, bot_process: Any, folder: Path
) -> None:
    """Its number and its events are known from the header: the account closes, and its neighbours are stored."""
    await asyncio.to_thread(own_redis.stop)
    killed = bot_process(own_site.redis_url, spool_dir=folder, compression=False)
    segment = await asyncio.to_thread(two_traces_left_by, killed, folder)
    segment.write_bytes(segment.read_bytes().replace(b'"number":5', b'"number":?'))
    await asyncio.to_thread(own_redis.start)
    await send_the_spool(own_site, folder)
    (letter,) = await own_site.dead_letters()
    assert letter["reason"] == "undecodable"
    assert "damaged on disk" in letter["error"]
    assert '"number":?' in letter["raw"]
    assert letter["field:n"] == str(letter["raw"].count('"type":'))
    assert len(await own_site.fetch("SELECT FROM pipeline_spans")) == 6 - letter["raw"].count('"type":"span"')


async def test_a_torn_tail_takes_the_last_frame_and_is_said(
    own_site: Site, own_redis: OwnServer, bot_process: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(own_redis.stop)
    killed = bot_process(own_site.redis_url, spool_dir=folder)
    segment = await asyncio.to_thread(two_traces_left_by, killed, folder)
    os.truncate(segment, segment.stat().st_size - 1)
    await asyncio.to_thread(own_redis.start)
    await send_the_spool(own_site, folder)
    assert "damaged bytes" in caplog.text
    assert len(await own_site.fetch("SELECT FROM pipeline_traces WHERE status = 'ok'")) == 1
    assert await own_site.dead_letters() == []
