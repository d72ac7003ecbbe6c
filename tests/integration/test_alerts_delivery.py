"""An alert arrives, though Telegram refuses or is away, and though servers are away."""

import logging

import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.fixtures.access import PostgresAccess, RedisAccess
from tests.fixtures.alerting import ADMIN, HOUR, Alerting
from tests.fixtures.proxy import proxied
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.telegram.alerts import Teller

TIMEOUT = "TimeoutError: no answer in 30 s"
BOB = 43


async def test_what_telegram_does_not_take_is_kept_until_it_does(alerting: Alerting) -> None:
    await alerting.letters(3)
    for fault in ({"status": 500}, {"status": 502}, {"drop": "request"}):
        alerting.telegram.fail("sendMessage", **fault)
        assert await alerting.looks() == []
    await alerting.letters(2)
    (said,) = await alerting.looks()
    assert said.startswith("🔴 New dead letters, for 3 min\nschema: 5,")
    assert await alerting.looks(5) == []


async def test_telegram_is_left_alone_for_as_long_as_it_asks(alerting: Alerting) -> None:
    await alerting.letters(3)
    alerting.telegram.fail("sendMessage", status=429, retry_after=150)
    assert await alerting.looks(3) == []
    assert len(alerting.telegram.calls("sendMessage")) == 1
    assert len(await alerting.looks()) == 1


async def test_what_began_and_ended_while_telegram_was_away_is_told_as_that(alerting: Alerting) -> None:
    alerting.telegram.fail("sendMessage", status=500, times=None)
    await alerting.ends("learn", errors=[TIMEOUT] * 9)
    assert await alerting.looks() == []
    await alerting.ends("learn", ok=500)
    assert await alerting.looks(9) == []
    alerting.telegram.heal()
    (said,) = await alerting.looks()
    assert said.startswith("🟡 Over before it could be told: learn fails, from 2")
    assert "100 % failed: 9 of 9" in said
    assert await alerting.looks(5) == []


async def test_an_admin_who_blocked_the_bot_keeps_it_from_nobody_and_is_told_later(
    alerting: Alerting, caplog: pytest.LogCaptureFixture
) -> None:
    bob = alerting.telegram.person(BOB, "Bob")
    await alerting.process(chats=[BOB, 999, ADMIN])
    await bob.blocks_bot()
    await alerting.letters(3)
    assert len(await alerting.looks(30)) == 1
    assert len(alerting.telegram.calls("sendMessage")) < 30, "who refuses is asked again at every look"
    refusals = [record.getMessage() for record in caplog.records if "do not reach" in record.getMessage()]
    assert [line.split(",")[0].split()[-1] for line in sorted(refusals)] == ["43", "999"]
    await bob.unblocks_bot()
    await alerting.letters(1)
    (said,) = await alerting.looks(31, of=bob)
    assert said.startswith("🔴 New dead letters, for 30 min\nschema: 4,")
    assert len(alerting.ada.chat) == 1


async def test_a_group_that_got_another_id_is_told_under_that_one() -> None:
    """The answer of a server that knows a group by another number now."""
    sent: list[str] = []

    async def send(request: web.Request) -> web.Response:
        chat = str((await request.post())["chat_id"])
        sent.append(chat)
        moved = {"ok": False, "error_code": 400, "description": "Bad Request: group chat was upgraded"}
        if chat == "-5":
            return web.json_response(moved | {"parameters": {"migrate_to_chat_id": -1005}}, status=400)
        message = {"message_id": 1, "date": 1, "chat": {"id": -1005, "type": "supergroup"}, "text": "x"}
        return web.json_response({"ok": True, "result": message})

    application = web.Application()
    application.router.add_post("/bot7:secret/sendMessage", send)
    async with TestServer(application) as server:
        session = AiohttpSession(api=TelegramAPIServer.from_base(str(server.make_url("/"))))
        teller = Teller(Bot("7:secret", session=session))
        assert [await teller.tell(-5, "x") for _ in range(2)] == [True, True]
        await session.close()
    assert sent == ["-5", "-1005", "-1005"]


async def test_the_token_is_in_no_line_of_the_log(alerting: Alerting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await alerting.letters(3)
    for fault in (
        {"status": 500, "description": f"no: {alerting.telegram.token}"},
        {"status": 401},
        {"drop": "answer"},
    ):
        alerting.telegram.fail("sendMessage", **fault)
        await alerting.looks()
    assert "no: …" in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("tracequeue")]
    assert alerting.telegram.token not in "\n".join(ours)


async def test_a_database_that_is_away_is_told_once_it_lasts_and_ends_no_alert(
    alerting: Alerting, caplog: pytest.LogCaptureFixture
) -> None:
    async with proxied(alerting.settings.database_url.get_secret_value()) as (proxy, url):
        await alerting.process(AlertRules(stale={"learn": HOUR}), database_url=url)
        await alerting.ends("learn", errors=[TIMEOUT] * 9)
        assert len(await alerting.looks()) == 1
        proxy.refuse()
        assert await alerting.looks() == []
        (said,) = await alerting.looks(30)
        assert said.startswith("🔴 Postgres cannot be used from here\n")
        assert [record.getMessage() for record in caplog.records if "cannot look" in record.getMessage()] == [
            record.getMessage() for record in caplog.records if "Postgres, and try again" in record.getMessage()
        ][:1]
        proxy.accept()
        (over,) = await alerting.looks(9)
        assert "🟢 Over after 3" in over
        assert "Postgres cannot be used from here" in over
        assert "learn fails" in over


async def test_a_restart_of_the_database_is_no_news(alerting: Alerting) -> None:
    async with proxied(alerting.settings.database_url.get_secret_value()) as (proxy, url):
        await alerting.process(database_url=url)
        for _ in range(3):
            proxy.cut()
            assert await alerting.looks(2) == []


async def test_a_redis_that_is_away_is_told_once_and_when_it_is_back_what_was_told_is_still_known(
    alerting: Alerting,
) -> None:
    async with proxied(alerting.settings.redis_url.get_secret_value()) as (proxy, url):
        await alerting.process(redis_url=url)
        await alerting.letters(3)
        assert len(await alerting.looks()) == 1
        proxy.refuse()
        (said,) = await alerting.looks(30)
        assert said.startswith("🔴 Redis cannot be used from here\nRedis: ")
        proxy.accept()
        (over,) = await alerting.looks(9)
        assert over.startswith("🟢 Over after 29 min: Redis cannot be used from here")


async def test_a_database_without_our_tables_is_told_with_the_cure(alerting: Alerting, database_url: str) -> None:
    await alerting.process(database_url=database_url)
    (said,) = await alerting.looks(5)
    assert "run `tracequeue migrate`" in said


async def test_the_rights_of_a_bot_with_admin_commands_are_enough(
    alerting: Alerting, access: RedisAccess, logins: PostgresAccess
) -> None:
    rules = AlertRules(stale={"learn": HOUR})
    await alerting.process(rules, redis_url=access.admin_bot, database_url=logins.reader)
    await alerting.ends("learn", errors=[TIMEOUT] * 9)
    await alerting.letters(3)
    (said,) = await alerting.looks(5)
    assert said.count("🔴") == 2
    assert await access.refusals() == []
