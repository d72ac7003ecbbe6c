"""A replay and an export of the streams where the shell does not say how many partitions the workers have."""

import asyncio

from tests.fixtures.command import Command
from tests.fixtures.oracle import Site
from tests.fixtures.replays import contents


async def test_every_partition_is_read(site: Site, command: Command, target_url: str) -> None:
    bot = site.bot(partitions=4)
    bot.burst(40)
    await bot.stop()
    await site.drain(partitions=4)
    answer = await asyncio.to_thread(command, "replay", "--to", target_url, "--json")
    assert answer.code == 0, answer
    assert answer.document["written"] == 200
    assert await contents(target_url) == await contents(site.database_url)
    exported = await asyncio.to_thread(command, "export", "--out", "history", "--json")
    assert exported.code == 0, exported
    assert sum(file["events"] for file in exported.document["files"]) == 200
