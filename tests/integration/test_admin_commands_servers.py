"""`/lag` and `/dlq` of a bot, and what it says where a server is away or the bot's author forgot something."""

import asyncio
import subprocess
import sys

import pytest
from aiogram import Bot, Dispatcher

from examples.bot.stand_ins.telegram import Person, TelegramStandIn
from tests.fixtures.administration import ADMINS, administered, asks
from tests.fixtures.frames import frame, span
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxied
from tests.fixtures.telegram import polling
from tracequeue.keys import dead_key, events_key
from tracequeue_worker.telegram import admin_router

POISON = {"type": "span", "span_name": 5}


async def dead_letters(site: Site, count: int = 3) -> None:
    """So many of one group: a frame whose events are none."""
    for _ in range(count):
        await site.redis.xadd(events_key(site.prefix, 0), frame(POISON))
    await site.drain()
    assert len(await site.dead_letters()) == count


async def test_what_waits(site: Site, admin: Person):
    assert "0 frames unread, 0 pending" in (await asks(admin, "/lag", "Backlog")).text
    for _ in range(3):
        await site.redis.xadd(events_key(site.prefix, 0), frame(span()))
    text = (await asks(admin, "/lag", "Backlog")).text
    assert "3 frames unread, 0 pending, the oldest" in text
    assert "no worker, 0 dead letters" in text
    await site.drain()
    text = (await asks(admin, "/lag", "Backlog")).text
    assert "0 frames unread, 0 pending\n" in text
    assert "stored in the last minute: 0.1 events/s" in text


async def test_partitions_are_told_apart(site: Site, telegram: TelegramStandIn, telegram_bot: Bot):
    await site.redis.xadd(events_key(site.prefix, 1), frame(span()))
    async with administered(telegram_bot, site.settings(partitions=2)):
        text = (await asks(telegram.person(ADMINS[0], "Ada"), "/lag", "Backlog")).text
    assert "Partition 0\n0 frames unread" in text
    assert "Partition 1\n1 frame unread" in text


async def test_no_dead_letters(admin: Person):
    assert (await asks(admin, "/dlq")).text == "no dead letters"


async def test_a_dead_letter_is_shown(site: Site, admin: Person):
    await dead_letters(site)
    await site.redis.xadd(dead_key(site.prefix, 0), {"reason": "<i>odd</i>", "error": "\x1b[31m", "raw": "</pre> a\nb"})
    groups = await asks(admin, "/dlq", "Dead letters: 4 records")
    assert "1. 3" in groups.text
    assert "2. 1 <i>odd</i>\n\\x1b[…m" in groups.text
    assert groups.buttons == ["Show 1", "Retry 1", "Show 2", "Retry 2"]
    await admin.presses("Show 2", on=groups)
    shown = await admin.hears("Dead letter: ", after=groups.message_id)
    assert "reason <i>odd</i>" in shown.text
    assert shown.text.endswith("</pre> a\nb")
    await admin.presses("Show 1", on=groups)
    assert '\n{"type": "span", "span_name": 5}' in (await admin.hears("reason schema", after=shown.message_id)).text
    await site.redis.delete(dead_key(site.prefix, 0))
    assert "no dead letters any more" in (await admin.presses("Show 2", on=groups) or "")
    assert "no dead letters any more" in (await admin.presses("Retry 1", on=groups) or "")


async def test_a_group_is_retried_behind_its_canary_when_that_is_confirmed(site: Site, admin: Person):
    """Refused for its time, and taken since the limit is another."""
    for _ in range(3):
        await site.redis.xadd(events_key(site.prefix, 0), frame(span(start_time=0, end_time=1)))
    await site.drain()
    assert len(await site.dead_letters()) == 3
    await asks(admin, "/dlq", "3 records")
    await admin.presses("Retry 1")
    question = await admin.hears("Retry 3 dead letters?")
    assert question.buttons == ["Retry", "Leave"]
    await admin.presses("Leave", on=question)
    await admin.hears("left as it is", after=question.message_id - 1)
    assert len(await site.dead_letters()) == 3

    await admin.presses("Retry 1")
    question = await admin.hears("Retry 3 dead letters?")
    async with site.working(past_limit="1970-01-01"):
        await admin.presses("Retry", on=question)
        answer = await admin.hears("3 dead letters retried", after=question.message_id - 1)
        await eventually(site.settled)
    assert (answer.message_id, answer.buttons) == (question.message_id, [])
    assert await site.dead_letters() == []


async def test_a_canary_that_dies_again_keeps_the_others(site: Site, admin: Person):
    await dead_letters(site)
    await asks(admin, "/dlq", "3 records")
    await admin.presses("Retry 1")
    async with site.working():
        await admin.presses("Retry")
        answer = await admin.hears("dead letter again, the others were left")
    assert "schema" in answer.text
    assert len(await site.dead_letters()) == 3


async def test_a_canary_that_no_worker_takes(site: Site, telegram: TelegramStandIn, telegram_bot: Bot):
    await dead_letters(site)
    admin = telegram.person(ADMINS[0], "Ada")
    async with administered(telegram_bot, site.settings(), canary_seconds=0.2):
        await asks(admin, "/dlq", "3 records")
        await admin.presses("Retry 1")
        await admin.presses("Retry")
        await admin.hears("is a worker running?")
    assert len(await site.dead_letters()) == 2


async def test_a_bot_starts_without_its_servers_and_says_what_is_away(
    site: Site, telegram: TelegramStandIn, telegram_bot: Bot, caplog: pytest.LogCaptureFixture
):
    nowhere = {"database_url": "postgresql://u:hush@127.0.0.1:1/x", "redis_url": "redis://u:hush@127.0.0.1:1/0"}
    admin = telegram.person(ADMINS[0], "Ada")
    async with administered(telegram_bot, site.settings(**nowhere)):
        for command, server in (
            ("/traces", "PostgreSQL"),
            ("/lag", "Redis"),
            ("/dlq", "Redis"),
            ("/cost", "PostgreSQL"),
        ):
            text = (await asks(admin, command, "⚠️")).text
            assert text.startswith(f"⚠️ {server}: ")
            assert "\n" not in text
            assert "hush" not in text + caplog.text
    async with administered(telegram_bot, site.settings(database_url=nowhere["database_url"])):
        text = (await asks(admin, "/lag", "Backlog")).text
        assert "0 frames unread" in text
        assert "⚠️ PostgreSQL: " in text


async def test_a_database_without_tables(database_url, site: Site, telegram: TelegramStandIn, telegram_bot: Bot):
    admin = telegram.person(ADMINS[0], "Ada")
    async with administered(telegram_bot, site.settings(database_url=database_url)):
        assert "run `tracequeue migrate`" in (await asks(admin, "/traces", "⚠️")).text


async def test_after_an_outage_it_goes_on(site: Site, telegram: TelegramStandIn, telegram_bot: Bot):
    admin = telegram.person(ADMINS[0], "Ada")
    async with proxied(site.database_url) as (proxy, url), administered(telegram_bot, site.settings(database_url=url)):
        await asks(admin, "/traces", "no traces here")
        proxy.refuse()
        await asks(admin, "/traces", "⚠️ PostgreSQL: ")
        proxy.accept()
        await asks(admin, "/traces", "no traces here")


async def test_a_frozen_database_blocks_neither_the_bot_nor_its_end(
    site: Site, telegram: TelegramStandIn, telegram_bot: Bot, monkeypatch: pytest.MonkeyPatch
):
    """The time for an answer ends it, long before the server's own deadline."""
    monkeypatch.setattr("tracequeue_worker.telegram.outages.ANSWER_SECONDS", 0.5)
    monkeypatch.setattr("tracequeue_worker.telegram.sources.STATEMENT_SECONDS", 600.0)
    admin = telegram.person(ADMINS[0], "Ada")
    async with proxied(site.database_url) as (proxy, url):
        async with administered(telegram_bot, site.settings(database_url=url)):
            await asks(admin, "/traces", "no traces here")
            proxy.freeze()
            asked = [await admin.says("/traces") for _ in range(4)]
            await asks(admin, "/admin", "Commands for admins")
            await eventually(lambda: sum("no answer in time" in one.text for one in admin.chat) == len(asked))
        proxy.thaw()


async def test_a_bot_whose_author_forgot_something(telegram: TelegramStandIn, telegram_bot: Bot):
    dispatcher = Dispatcher()
    dispatcher.include_router(admin_router(admins=[42]))
    ada = telegram.person(42, "Ada")
    async with polling(dispatcher, telegram_bot):
        assert 'dispatcher["trace_repo"] = TraceRepo(pool)' in (await asks(ada, "/traces")).text
        dispatcher["trace_repo"] = object()
        assert 'dispatcher["trace_streams"] = ' in (await asks(ada, "/lag")).text


@pytest.mark.parametrize("missing", ["aiogram", "genai_prices", "asyncpg"])
async def test_without_its_extra_the_import_says_what_to_install(missing: str):
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "try: import tracequeue_worker.telegram\nexcept ImportError as error: print(error)"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install 'tracequeue[aiogram,worker]'" in done.stdout


async def test_nothing_else_of_the_worker_imports_aiogram():
    program = "import sys, tracequeue_worker.cli, tracequeue_worker.repo; print('aiogram' in sys.modules)"
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
