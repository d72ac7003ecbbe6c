"""aiogram's own bot on the stand-in for Telegram: it must not notice the difference."""

import asyncio
from typing import Any

import pytest
from aiogram import Bot, Dispatcher, F
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
)
from aiogram.filters import Command, CommandObject
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    BotCommandScopeDefault,
    BufferedInputFile,
    CallbackQuery,
    Message,
)
from aiohttp import ClientSession

from examples.bot.stand_ins.telegram import TelegramStandIn
from tests.fixtures.polling import eventually
from tests.fixtures.telegram import AGAIN, keyboard, polling


@pytest.fixture
def dispatcher() -> Dispatcher:
    """A bot that learns, says what it was answered to, and counts in place when a button is pressed."""
    dispatcher = Dispatcher()

    @dispatcher.message(Command("learn"))
    async def learn(message: Message, command: CommandObject) -> None:
        sent = await message.answer("<i>thinking</i>", parse_mode="HTML")
        await sent.edit_text(f"<b>{command.args}</b> 0", parse_mode="HTML", reply_markup=keyboard(AGAIN))

    @dispatcher.message(F.reply_to_message)
    async def why(message: Message) -> None:
        await message.reply(f"why of {message.reply_to_message.message_id}")

    @dispatcher.message(F.document)
    async def document(message: Message, bot: Bot) -> None:
        content = (await bot.download(message.document)).read()
        await message.answer_document(BufferedInputFile(content[::-1], "back.txt"), caption=message.caption)

    @dispatcher.callback_query(F.data == "again")
    async def again(query: CallbackQuery) -> None:
        what, count = query.message.text.rsplit(" ", 1)
        await query.message.edit_text(f"{what} {int(count) + 1}", reply_markup=keyboard(AGAIN))
        await query.answer(f"{query.from_user.first_name} pressed")

    return dispatcher


async def test_a_conversation_with_edits_buttons_and_answers(
    telegram: TelegramStandIn, telegram_bot: Bot, dispatcher: Dispatcher
) -> None:
    ada = telegram.person(42, "Ada")
    async with polling(dispatcher, telegram_bot):
        said = await ada.says("/learn swimming")
        message = await ada.hears("swimming")
        assert (message.message_id, message.past, message.buttons) == (said + 1, ("thinking",), ["Again"])
        assert message.entities == ({"type": "bold", "offset": 0, "length": 8},)
        assert message.html == "<b>swimming</b> 0"
        assert await ada.presses("Again") == await ada.presses("Again") == "Ada pressed"
        assert (await ada.hears("swimming 2")).message_id == message.message_id
        await ada.replies(message, "/why")
        answer = await ada.hears(f"why of {message.message_id}")
    assert [one.text for one in ada.chat] == ["/learn swimming", "swimming 2", "/why", answer.text]
    assert answer.reply_to == ada.chat[2].message_id
    assert [call["text"] for call in telegram.calls("sendMessage")] == ["<i>thinking</i>", answer.text]


async def test_two_people_at_once_do_not_hear_each_other(
    telegram: TelegramStandIn, telegram_bot: Bot, dispatcher: Dispatcher
) -> None:
    ada, bob = telegram.person(42, "Ada"), telegram.person(43, "Bob")
    async with polling(dispatcher, telegram_bot):
        await asyncio.gather(*(person.says(f"/learn {person.name}") for person in (ada, bob)))
        assert await asyncio.gather(ada.presses("Again"), bob.presses("Again")) == ["Ada pressed", "Bob pressed"]
        await asyncio.gather(ada.hears("Ada 1"), bob.hears("Bob 1"))
    assert not [one for one in ada.chat if "Bob" in one.text or one.chat_id != 42]
    assert len({one.message_id for one in ada.chat + bob.chat}) == 4


async def test_the_newest_message_is_the_one_that_is_meant(
    telegram: TelegramStandIn, telegram_bot: Bot, dispatcher: Dispatcher
) -> None:
    ada = telegram.person(42, "Ada")
    async with polling(dispatcher, telegram_bot):
        for word in ("one", "two"):
            await ada.says(f"/learn {word}")
            await ada.hears(f"{word} 0")
        await ada.presses("Again")
        assert [one.text for one in ada.chat if one.buttons] == ["one 0", "two 1"]
        assert (await ada.hears("")).text == "two 1"
        await ada.presses("Again", on=await ada.hears("one"))
        first, second = [one for one in ada.chat if one.buttons]
        assert [first.text, second.text] == ["one 1", "two 1"]
        with pytest.raises(TimeoutError):
            await ada.hears("one", after=first.message_id, timeout=0)
        assert await ada.hears("two", after=first.message_id) == second


async def test_people_in_a_group_see_the_same_and_press_the_same(
    telegram: TelegramStandIn, telegram_bot: Bot, dispatcher: Dispatcher
) -> None:
    ada, bob = telegram.person(42, "Ada"), telegram.person(43, "Bob")
    group = telegram.group(-100, "Learners", ada, bob)
    async with polling(dispatcher, telegram_bot):
        await ada.within(group).says("/learn chess")
        assert await bob.within(group).presses("Again") == "Bob pressed"
        await ada.within(group).hears("chess 1")
    assert [one.sender.name for one in group.chat] == ["Ada", "Stand-in"]
    assert not ada.chat
    with pytest.raises(ValueError, match="Eve is not in the group 'Learners'"):
        telegram.person(44, "Eve").within(group)


async def test_documents_both_ways(telegram: TelegramStandIn, telegram_bot: Bot, dispatcher: Dispatcher) -> None:
    ada = telegram.person(42, "Ada")
    async with polling(dispatcher, telegram_bot):
        await ada.sends_document("there.txt", b"abc", "turn it")
        message = await ada.hears("back.txt")
    assert (message.text, message.document.name, message.document.content) == ("turn it", "back.txt", b"cba")
    again = await telegram_bot.send_document(42, message.document.file_id)
    assert again.document.file_name == "back.txt"
    with pytest.raises(TelegramBadRequest, match="there is no text in the message to edit"):
        await again.edit_text("x")
    assert (await again.edit_caption(caption="new")).caption == "new"
    with pytest.raises(TelegramBadRequest, match="wrong file identifier/HTTP URL specified"):
        await telegram_bot.send_document(42, "never-given")


async def test_updates_wait_for_the_bot_and_are_forgotten_once_confirmed(
    telegram: TelegramStandIn, telegram_bot: Bot
) -> None:
    ada = telegram.person(42, "Ada")
    for text in "abc":
        await ada.says(text)
    first = await telegram_bot.get_updates(limit=2)
    assert [update.message.text for update in first] == ["a", "b"]
    assert await telegram_bot.get_updates(limit=2) == first
    rest = await telegram_bot.get_updates(offset=first[0].update_id + 1)
    assert [update.message.text for update in rest] == ["b", "c"]
    assert [one.message.text for one in await telegram_bot.get_updates(offset=-1)] == ["c"]
    assert (await telegram_bot.get_webhook_info()).pending_update_count == 1
    assert await telegram_bot.delete_webhook(drop_pending_updates=True)
    assert await telegram_bot.get_updates(timeout=1) == []


async def test_a_bot_gets_the_updates_that_it_allows(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    ada = telegram.person(42, "Ada")
    await telegram_bot.get_updates(allowed_updates=["callback_query"])
    await telegram_bot.send_message(42, "x", reply_markup=keyboard(AGAIN))
    await ada.says("not heard")
    pressing = asyncio.create_task(ada.presses("Again"))
    (update,) = await telegram_bot.get_updates(timeout=5)
    assert (update.callback_query.data, update.callback_query.message.text) == ("again", "x")
    await update.callback_query.answer().as_(telegram_bot)
    assert await pressing is None


async def test_a_second_long_poll_ends_the_first(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    first = asyncio.create_task(telegram_bot.get_updates(timeout=30))
    await eventually(lambda: telegram.calls("getUpdates"))
    second = asyncio.create_task(telegram_bot.get_updates(timeout=30))
    with pytest.raises(TelegramConflictError, match="terminated by other getUpdates request"):
        await first
    await telegram.person(42, "Ada").says("hello")
    assert [update.message.text for update in await second] == ["hello"]


async def test_a_menu_is_the_narrowest_that_is_set(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    ada, bob = telegram.person(42, "Ada"), telegram.person(43, "Bob", language_code="de")
    group = telegram.group(-100, "Learners", ada, bob)

    def menus() -> list[list[str]]:
        return [[name for name, _ in one.menu] for one in (ada, bob, ada.within(group))]

    async def set_menu(name: str, scope: object, language: str | None = None) -> None:
        await telegram_bot.set_my_commands([BotCommand(command=name, description=name)], scope, language)

    assert menus() == [[], [], []]
    await set_menu("all", BotCommandScopeDefault())
    await set_menu("alle", None, "de")
    await set_menu("private", BotCommandScopeAllPrivateChats())
    assert menus() == [["private"], ["private"], ["all"]]
    await set_menu("admin", BotCommandScopeChat(chat_id=42))
    assert menus() == [["admin"], ["private"], ["all"]]
    (command,) = await telegram_bot.get_my_commands(BotCommandScopeChat(chat_id=42))
    assert (command.command, command.description) == ("admin", "admin")
    await telegram_bot.delete_my_commands(BotCommandScopeChat(chat_id=42))
    await telegram_bot.delete_my_commands(BotCommandScopeAllPrivateChats())
    assert menus() == [["all"], ["alle"], ["all"]]


async def test_the_token_is_in_no_log(
    telegram: TelegramStandIn, telegram_bot: Bot, dispatcher: Dispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    ada = telegram.person(42, "Ada")
    async with polling(dispatcher, telegram_bot):
        telegram.fail("sendMessage", status=500)
        await ada.says("/learn x")
        await ada.says("/learn y")
        await ada.hears("y 0")
    assert "Update id=1" in caplog.text
    assert telegram.token not in caplog.text
    with pytest.raises(ValueError, match="this one is not") as caught:
        TelegramStandIn("hunter2")
    assert "hunter2" not in str(caught.value)


async def test_calls_may_come_as_json_and_in_the_query_too(telegram: TelegramStandIn) -> None:
    telegram.person(42, "Ada")
    async with ClientSession(telegram.url) as http:

        async def answer(method: str, **request: Any) -> Any:
            async with http.request("POST", f"/bot{telegram.token}/{method}", **request) as response:
                return (await response.json())["result" if response.ok else "description"]

        assert (await answer("SENDMESSAGE", json={"chat_id": 42, "text": "a"}))["text"] == "a"
        assert (await answer("sendMessage", params={"chat_id": "42", "text": "b"}))["text"] == "b"
        assert (await answer("getMe"))["username"] == "stand_in_bot"
        broken = {"data": "{", "headers": {"Content-Type": "application/json"}}
        assert await answer("sendMessage", **broken) == "Bad Request: can't parse JSON object"
        form = {"chat_id": 42, "text": "c", "reply_markup": "{"}
        assert "can't parse reply keyboard markup JSON object" in await answer("sendMessage", data=form)
    assert [call["chat_id"] for call in telegram.calls("sendMessage")] == [42, 42]
