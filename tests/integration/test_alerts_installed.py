"""The watch beside a dispatcher: from its startup to its shutdown."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from aiogram import Dispatcher

from tests.fixtures.alerting import ADMIN, Alerting
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxied
from tests.fixtures.telegram import bot_of, polling
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.telegram.alerts import install_alerts


@pytest.fixture
def dispatcher() -> Dispatcher:
    return Dispatcher()


async def test_one_line_watches_from_startup_to_shutdown(alerting: Alerting, dispatcher: Dispatcher) -> None:
    await alerting.letters(3)
    install_alerts(dispatcher, [ADMIN], interval=timedelta(milliseconds=20), settings=alerting.settings)
    bot = bot_of(alerting.telegram)
    async with polling(dispatcher, bot):
        await alerting.ada.hears("New dead letters")
        await alerting.letters(1, "unknown_version")
        await alerting.ada.hears("unknown_version")
        assert "tracequeue alerts" in names_of_tasks()
    assert "tracequeue alerts" not in names_of_tasks()
    async with polling(dispatcher, bot):
        await alerting.letters(1, "time_range")
        await alerting.ada.hears("time_range")
    assert len(alerting.ada.chat) == 3
    await bot.session.close()


async def test_stopping_waits_for_the_message_that_is_on_its_way_and_remembers_it(
    alerting: Alerting, dispatcher: Dispatcher
) -> None:
    await alerting.letters(3)
    alerting.telegram.fail("sendMessage", delay=0.3)
    alerts = install_alerts(dispatcher, [ADMIN], settings=alerting.settings)
    bot = bot_of(alerting.telegram)
    await dispatcher.emit_startup(bot=bot)
    await eventually(lambda: alerting.telegram.calls("sendMessage"))
    await alerts.stop()
    assert len(alerting.ada.chat) == 1
    assert await alerting.looks(5) == []
    await bot.session.close()


async def test_a_bot_starts_and_stops_though_no_server_answers(alerting: Alerting, dispatcher: Dispatcher) -> None:
    """Both are there and say nothing: nothing is waited for."""
    async with proxied(alerting.settings.redis_url.get_secret_value()) as (proxy, url):
        proxy.freeze()
        settings = alerting.settings.model_copy(
            update=WorkerSettings.load(redis_url=url).model_dump(include={"redis_url"})
        )
        install_alerts(dispatcher, [ADMIN], settings=settings)
        bot = bot_of(alerting.telegram)
        await dispatcher.emit_startup(bot=bot)
        await eventually(lambda: proxy.held_back)
        await dispatcher.emit_shutdown(bot=bot)
        assert "tracequeue alerts" not in names_of_tasks()
        await bot.session.close()


async def test_a_defect_costs_a_look_and_not_the_watch(
    alerting: Alerting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch = await alerting.process()
    looks = []

    async def look() -> None:
        looks.append(1)
        raise ZeroDivisionError("nobody thought of it")

    monkeypatch.setattr(watch, "look", look)
    monkeypatch.setattr(watch, "_interval", timedelta(0))
    task = asyncio.create_task(watch.run())
    await eventually(lambda: len(looks) > 2)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert "nobody thought of it" in caplog.text


async def test_without_chats_nothing_runs_and_the_log_says_so(
    alerting: Alerting, dispatcher: Dispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    install_alerts(dispatcher, [], settings=alerting.settings)
    bot = bot_of(alerting.telegram)
    await dispatcher.emit_startup(bot=bot)
    assert "no admin chats" in caplog.text
    assert "tracequeue alerts" not in names_of_tasks()
    await dispatcher.emit_shutdown(bot=bot)
    await bot.session.close()


async def test_an_interval_that_is_none_is_refused(alerting: Alerting, dispatcher: Dispatcher) -> None:
    with pytest.raises(ValueError, match="interval"):
        install_alerts(dispatcher, [ADMIN], interval=timedelta(0), settings=alerting.settings)


async def test_a_startup_without_a_bot_says_the_cure(alerting: Alerting, dispatcher: Dispatcher) -> None:
    install_alerts(dispatcher, [ADMIN], settings=alerting.settings)
    with pytest.raises(TypeError, match="bot="):
        await dispatcher.emit_startup()


def names_of_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}
