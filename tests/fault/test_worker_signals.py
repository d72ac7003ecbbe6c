"""Faults 2 and 4: a worker is asked to stop though the store is frozen, or stands still and comes back much later."""

import signal
from contextlib import AsyncExitStack

import pytest
from redis.exceptions import ResponseError

from tests.fixtures.halting_worker import POINTS
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxied
from tests.fixtures.worker_process import ended, is_frozen, worker_process
from tracequeue.keys import events_key


async def holders(site: Site) -> dict[str, int]:
    """How many frames are pending under each name."""
    try:
        consumers = await site.redis.xinfo_consumers(events_key(site.prefix, 0), "persist")
    except ResponseError:  # no stream, or no group
        return {}
    return {one["name"].decode(): one["pending"] for one in consumers}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_worker_when_it_has_settled_what_it_holds(site: Site, number: signal.Signals) -> None:
    bot = site.bot()
    async with worker_process(site) as worker, bot.emitting():
        await eventually(lambda: site.fetch("SELECT FROM pipeline_spans"))
        worker.send_signal(number)
        assert await ended(worker) == 0
        assert await holders(site) == {}
    await site.drain()
    await site.assert_account_closes(bot)


async def test_a_frozen_store_holds_nobody_who_is_asked_to_stop(site: Site) -> None:
    """Asked once it leaves after the grace, asked again at once: long before one that was asked once."""
    bot = site.bot()
    async with (
        proxied(site.database_url) as (proxy, url),
        worker_process(site, TRACEQUEUE_CONSUMER="patient", TRACEQUEUE_DATABASE_URL=url) as patient,
        worker_process(site, TRACEQUEUE_CONSUMER="pressed", TRACEQUEUE_DATABASE_URL=url) as pressed,
    ):
        async with bot.emitting():
            await eventually(lambda: all_are_there(site))
            proxy.freeze()
            await eventually(lambda: all_hold(site))
        patient.send_signal(signal.SIGTERM)
        for number in (signal.SIGTERM, signal.SIGINT):  # of two with the same number that come together one is lost
            pressed.send_signal(number)
        assert await ended(pressed) == 0
        assert patient.returncode is None
        assert await ended(patient) == 0
    assert sum((await holders(site)).values())
    await site.drain()
    await site.assert_account_closes(bot)


async def all_are_there(site: Site) -> bool:
    return (await holders(site)).keys() == {"patient", "pressed"}


async def all_hold(site: Site) -> bool:
    return all((await holders(site)).values())


async def test_workers_stand_still_everywhere_past_the_claim_time_and_come_back(site: Site) -> None:
    """One at each point, some in a transaction with rows locked. Others go on meanwhile; then all come back at once.

    In COPY no timeout of the server ends a client that stands still; there it holds nothing that others need. Behind
    it there is no more of the client to wait for, and `idle_in_transaction_session_timeout` ends it.
    """
    bot = site.bot()
    async with AsyncExitStack() as stack:
        async with bot.emitting():
            workers = [await stack.enter_async_context(worker_process(site, point, signal.SIGSTOP)) for point in POINTS]
            for worker in workers:
                await eventually(lambda worker=worker: is_frozen(worker))
        await site.drain()
        await site.assert_account_closes(bot)
        another, stored = site.bot(), len(bot.journal.spans)
        async with another.emitting():
            for worker in workers:
                worker.send_signal(signal.SIGCONT)
            await eventually(lambda: site.fetch("SELECT FROM pipeline_spans OFFSET $1", stored))
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
            assert await ended(worker) == 0
    await site.drain()
    await site.assert_account_closes(bot, another)
