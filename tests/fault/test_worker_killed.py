"""Fault 1: a worker is killed with SIGKILL at each point of a frame's way; another one finishes."""

import signal

import pytest

from tests.fixtures.halting_worker import POINTS
from tests.fixtures.oracle import Site
from tests.fixtures.worker_process import ended, worker_process

STORED_BEFORE = {"after COMMIT", "before settling", "between two calls of settling"}
"""Points at which the rows are there already."""


@pytest.mark.parametrize("point", [point for point in POINTS if point != "after claiming"])
async def test_killed(site: Site, point: str) -> None:
    bot = site.bot()
    async with bot.emitting(), worker_process(site, point) as worker:
        assert await ended(worker) == -signal.SIGKILL
    assert bool(await site.fetch("SELECT FROM pipeline_spans")) is (point in STORED_BEFORE)
    (backlog,) = await site.backlog()
    assert backlog.pending
    report = await site.drain()
    assert bool(report.known) is (point in STORED_BEFORE)
    await site.assert_account_closes(bot)


async def test_killed_while_it_takes_over_from_one_that_was_killed(site: Site) -> None:
    bot = site.bot()
    async with bot.emitting():
        for point in ("after the read", "after claiming", "after claiming"):
            async with worker_process(site, point) as worker:
                assert await ended(worker) == -signal.SIGKILL
    await site.drain()
    await site.assert_account_closes(bot)
