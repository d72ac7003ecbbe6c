"""Fault 34: the database's backends are killed, again and again, while events flow."""

import asyncio

from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually


async def test_backends_killed_in_the_middle_of_writing(site: Site) -> None:
    bot = site.bot()
    async with site.working() as report:
        emitting = asyncio.create_task(bot.run())
        await eventually(lambda: report.frames)
        for _ in range(5):
            before = report.frames
            await site.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await eventually(lambda before=before: report.frames > before + 3)
        bot.enough()
        await emitting
        await bot.stop()
        await eventually(site.settled)
    await site.assert_account_closes(bot)
