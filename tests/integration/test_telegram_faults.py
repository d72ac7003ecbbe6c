"""Faults that a test orders of the stand-in for Telegram, people who block the bot, and people who wait in vain."""

import asyncio

import pytest
from aiogram import Bot, Dispatcher
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.types import (
    ChatMemberUpdated,
)

from examples.bot.stand_ins.telegram import TelegramStandIn
from tests.fixtures.polling import eventually
from tests.fixtures.telegram import AGAIN, keyboard, polling


async def test_scripted_faults_happen_as_often_as_ordered(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    ada, bob = telegram.person(42, "Ada"), telegram.person(43, "Bob")
    telegram.fail("sendMessage", status=429, retry_after=7, chat_id=42)
    telegram.fail("sendMessage", status=502, times=2)
    telegram.fail("sendMessage", status=403)
    await_error: list[tuple[int, type[TelegramAPIError]]] = [
        (43, TelegramServerError), (42, TelegramRetryAfter), (42, TelegramServerError), (42, TelegramForbiddenError),
    ]  # fmt: skip
    for chat_id, kind in await_error:
        with pytest.raises(kind) as caught:
            await telegram_bot.send_message(chat_id, "x")
        assert getattr(caught.value, "retry_after", 7) == 7
    await telegram_bot.send_message(42, "x")
    assert ([one.text for one in ada.chat], bob.chat) == (["x"], [])
    assert len(telegram.calls("sendMessage")) == 5
    telegram.fail("getMe", status=500, times=None)
    with pytest.raises(TelegramServerError):
        await telegram_bot.get_me()
    telegram.heal()
    assert (await telegram_bot.get_me()).is_bot
    with pytest.raises(ValueError, match="the fault of sendMessage does nothing"):
        telegram.fail("sendMessage")


async def test_connections_that_break_before_and_after_the_deed(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    ada = telegram.person(42, "Ada")
    for drop, text in (("request", "never done"), ("answer", "done")):
        telegram.fail("sendMessage", drop=drop)
        with pytest.raises(TelegramNetworkError):
            await telegram_bot.send_message(42, text)
    assert [one.text for one in ada.chat] == ["done"]


async def test_a_slow_answer_comes_after_others(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    ada = telegram.person(42, "Ada")
    telegram.fail("sendMessage", delay=0.3)
    slow = asyncio.create_task(telegram_bot.send_message(42, "slow"))
    await eventually(lambda: telegram.calls("sendMessage"))
    await telegram_bot.send_message(42, "fast")
    assert not slow.done()
    await slow
    assert [one.text for one in ada.chat] == ["fast", "slow"]


async def test_a_person_who_blocked_the_bot_is_not_reached(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    ada, seen, dispatcher = telegram.person(42, "Ada"), [], Dispatcher()

    @dispatcher.my_chat_member()
    async def changed(event: ChatMemberUpdated) -> None:
        seen.append((event.chat.id, event.old_chat_member.status, event.new_chat_member.status))

    async with polling(dispatcher, telegram_bot):
        await ada.blocks_bot()
        for call in (telegram_bot.send_message(42, "x"), telegram_bot.send_chat_action(42, "typing")):
            with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
                await call
        with pytest.raises(ValueError, match="Ada has blocked the bot"):
            await ada.says("hello?")
        await ada.unblocks_bot()
        assert await telegram_bot.send_chat_action(42, "typing")
        await eventually(lambda: seen == [(42, "member", "kicked"), (42, "kicked", "member")])
    assert ada.actions == ["typing"]


async def test_a_person_who_waits_in_vain_is_told_what_there_is(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    ada = telegram.person(42, "Ada")
    await telegram_bot.send_message(42, "something else", reply_markup=keyboard(AGAIN))
    with pytest.raises(TimeoutError, match=r"Ada did not hear 'this' within 0 s(.|\n)*Stand-in: something else"):
        await ada.hears("this", timeout=0)
    with pytest.raises(TimeoutError, match=r"no message shows Ada a button 'Now', but these: \[\['Again'\]\]"):
        await ada.presses("Now", timeout=0)
    with pytest.raises(TimeoutError, match="the bot did not answer that Ada pressed 'Again'"):
        await ada.presses("Again", timeout=0)
