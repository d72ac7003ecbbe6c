"""What Telegram does not take, the stand-in does not take either, and says so in Telegram's words."""

import asyncio
from typing import Any

import pytest
from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramNotFound,
    TelegramUnauthorizedError,
)
from aiogram.methods import GetChat
from aiogram.types import (
    BotCommand,
    BotCommandScopeChat,
    InlineKeyboardButton,
    ReplyParameters,
)

from examples.bot.stand_ins.telegram import TelegramStandIn
from tests.fixtures.telegram import AGAIN, bot_of, keyboard


@pytest.mark.parametrize(
    ("html", "refusal"),
    [
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("é<b>x</i>", 'Unmatched end tag at byte offset 6, expected "</b>", found "</i>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("a<p>x</p>", 'Unsupported start tag "p" at byte offset 1'),
        ("1 < 2", 'Unsupported start tag "" at byte offset 2'),
        ("<b", "Unclosed start tag at byte offset 0"),
        ('<a href="x', 'Empty attribute name in the tag "a" at byte offset 0'),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
async def test_html_that_telegram_cannot_parse_is_refused(
    telegram: TelegramStandIn, telegram_bot: Bot, html: str, refusal: str
) -> None:
    telegram.person(42, "Ada")
    with pytest.raises(TelegramBadRequest) as caught:
        await telegram_bot.send_message(42, html, parse_mode="HTML")
    assert caught.value.message == f"Bad Request: can't parse entities: {refusal}"


@pytest.mark.parametrize(
    ("html", "text", "entities"),
    [
        ("1 &lt; 2 &amp; &#x41;&#66; &copy;", "1 < 2 & AB &copy;", []),
        ("  <b> a <i>\U0001f600</i></b>c \n", "a \U0001f600c", [("bold", 0, 4), ("italic", 2, 2)]),
        ("<b><i>x</i>y</b>", "xy", [("bold", 0, 2), ("italic", 0, 1)]),
        ("<B>x</B><u></u>", "x", [("bold", 0, 1)]),
        ('<a href="https://e.org/?a=1&amp;b">x</a>', "x", [("text_link", 0, 1)]),
        ("<a href='nowhere'>x</a>", "x", []),
        ('<pre><code class="language-python">x</code></pre>', "x", [("pre", 0, 1)]),
        ("<blockquote expandable>x</blockquote>", "x", [("expandable_blockquote", 0, 1)]),
        ('<span class="tg-spoiler">x</span>', "x", [("spoiler", 0, 1)]),
        ("<code>a</code><s>b</s>", "ab", [("code", 0, 1), ("strikethrough", 1, 1)]),
    ],
)
async def test_html_becomes_text_and_entities(
    telegram: TelegramStandIn, telegram_bot: Bot, html: str, text: str, entities: list[Any]
) -> None:
    ada = telegram.person(42, "Ada")
    sent = await telegram_bot.send_message(42, html, parse_mode="HTML")
    assert sent.text == text
    assert [(one.type, one.offset, one.length) for one in sent.entities or []] == entities
    assert (await ada.hears(text)).html == html


async def test_what_entities_say_beyond_their_place(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    telegram.person(42, "Ada")
    html = '<a href="https://e.org/?a=1&amp;b">x</a><pre><code class="language-python">y</code></pre>'
    link, code = (await telegram_bot.send_message(42, html, parse_mode="HTML")).entities
    assert (link.url, code.language) == ("https://e.org/?a=1&b", "python")


BAD_DATA = keyboard(InlineKeyboardButton(text="x", callback_data="é" * 33))


@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        ({"text": ""}, "message text is empty"),
        ({"text": "<b> </b>", "parse_mode": "HTML"}, "text must be non-empty"),
        ({"text": "x" * 4097}, "message is too long"),
        ({"text": "x", "parse_mode": "Latex"}, "unsupported parse_mode"),
        ({"text": "x", "reply_parameters": ReplyParameters(message_id=99)}, "message to be replied not found"),
        ({"text": "x", "reply_markup": BAD_DATA}, "BUTTON_DATA_INVALID"),
        ({"text": "x", "reply_markup": keyboard(InlineKeyboardButton(text="x"))}, "Text buttons are unallowed"),
        ({"text": "x", "chat_id": 7}, "chat not found"),
        ({"text": "x", "chat_id": "@somebody"}, "chat not found"),
    ],
)
async def test_messages_that_telegram_does_not_take(
    telegram: TelegramStandIn, telegram_bot: Bot, parameters: dict[str, Any], refusal: str
) -> None:
    ada = telegram.person(42, "Ada")
    with pytest.raises(TelegramBadRequest, match=f"Bad Request: .*{refusal}"):
        await telegram_bot.send_message(**{"chat_id": 42, **parameters})
    assert not ada.chat


async def test_the_largest_messages_that_telegram_takes(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    telegram.person(42, "Ada")
    longest = "<b>" + "&lt;" * 4096 + "</b>"
    largest = keyboard(InlineKeyboardButton(text="x", callback_data="é" * 32))
    sent = await telegram_bot.send_message(42, longest, parse_mode="HTML", reply_markup=largest)
    assert (len(sent.text), sent.reply_markup.model_dump()) == (4096, largest.model_dump())
    lenient = ReplyParameters(message_id=99, allow_sending_without_reply=True)
    assert (await telegram_bot.send_message(42, "x", reply_parameters=lenient)).reply_to_message is None


async def test_edits_that_telegram_does_not_make(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    ada = telegram.person(42, "Ada")
    sent = await telegram_bot.send_message(42, "<b>x</b>", parse_mode="HTML", reply_markup=keyboard(AGAIN))
    theirs = await ada.says("mine")
    for edit, refusal in (
        (sent.edit_text("<b>x</b>", parse_mode="HTML", reply_markup=keyboard(AGAIN)), "message is not modified: "),
        (sent.edit_reply_markup(reply_markup=keyboard(AGAIN)), "message is not modified: "),
        (telegram_bot.edit_message_text("y", chat_id=42, message_id=999), "message to edit not found"),
        (telegram_bot.edit_message_text("y", chat_id=42, message_id=theirs), "message can't be edited"),
        (telegram_bot.delete_message(42, 999), "message to delete not found"),
    ):
        with pytest.raises(TelegramBadRequest, match=refusal):
            await edit
    assert (await sent.edit_text("x")).reply_markup is None  # an edit without buttons takes them away
    assert (await sent.edit_reply_markup(reply_markup=keyboard(AGAIN))).text == "x"
    assert ada.chat[0].buttons == ["Again"]
    assert await sent.delete()
    assert [one.text for one in ada.chat] == ["mine"]


async def test_presses_that_are_unknown_or_too_old_are_not_answered(
    telegram: TelegramStandIn, telegram_bot: Bot
) -> None:
    ada = telegram.person(42, "Ada")
    await telegram_bot.send_message(42, "x", reply_markup=keyboard(AGAIN))
    with pytest.raises(TelegramBadRequest, match="query is too old and response timeout expired"):
        await telegram_bot.answer_callback_query("1")
    pressing = asyncio.create_task(ada.presses("Again"))
    (update,) = await telegram_bot.get_updates(timeout=5)
    with pytest.raises(TelegramBadRequest, match="MESSAGE_TOO_LONG"):
        await telegram_bot.answer_callback_query(update.callback_query.id, text="x" * 201)
    telegram.expire_presses()
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await telegram_bot.answer_callback_query(update.callback_query.id)
    pressing.cancel()


@pytest.mark.parametrize(
    ("command", "description", "chat_id", "refusal"),
    [
        ("Learn", "x", 42, "BOT_COMMAND_INVALID"),
        ("learn", " ", 42, "command description must be non-empty"),
        ("learn", "x" * 257, 42, "command description length must not exceed 256"),
        ("learn", "x", 7, "chat not found"),
    ],
)
async def test_menus_that_telegram_does_not_take(
    telegram: TelegramStandIn, telegram_bot: Bot, command: str, description: str, chat_id: int, refusal: str
) -> None:
    telegram.person(42, "Ada")
    with pytest.raises(TelegramBadRequest, match=refusal):
        await telegram_bot.set_my_commands(
            [BotCommand(command=command, description=description)], BotCommandScopeChat(chat_id=chat_id)
        )


async def test_calls_that_are_no_calls(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    stranger = bot_of(telegram, token="1000000:not-the-token")
    with pytest.raises(TelegramUnauthorizedError, match="Unauthorized"):
        await stranger.get_me()
    await stranger.session.close()
    with pytest.raises(TelegramNotFound, match="method not found"):
        await telegram_bot(GetChat(chat_id=42))
    telegram.person(42, "Ada")
    with pytest.raises(TelegramBadRequest, match="wrong parameter action in request"):
        await telegram_bot.send_chat_action(42, "juggling")
