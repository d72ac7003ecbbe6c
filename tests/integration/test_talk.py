"""The terminal client as people run it: a process of its own, with lines through a pipe or typed at a terminal."""

import asyncio
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiogram import Bot, Dispatcher, F
from aiogram.types import BotCommand, BufferedInputFile, CallbackQuery, InlineKeyboardButton, Message
from aiohttp import ClientSession

from examples.bot.stand_ins.telegram import TelegramStandIn
from tests.fixtures.polling import eventually
from tests.fixtures.servers import free_port
from tests.fixtures.telegram import AGAIN, keyboard, polling

ROOT = Path(__file__).parents[2]
TALK = (sys.executable, "-m", "examples.bot.talk", "--quiet", "0.5")


@pytest.fixture
async def at_work(telegram: TelegramStandIn, telegram_bot: Bot) -> AsyncIterator[None]:
    """A bot that edits its answers, counts presses, sends documents, and says what it was answered to."""
    dispatcher = Dispatcher()

    @dispatcher.message(F.text == "/file")
    async def document(message: Message) -> None:
        await message.answer_document(BufferedInputFile(b"a <trace>", "trace.txt"), caption="here")

    @dispatcher.message(F.reply_to_message)
    async def why(message: Message) -> None:
        await message.answer(f"why of {message.reply_to_message.text or message.reply_to_message.caption}")

    @dispatcher.message()
    async def answer(message: Message) -> None:
        sent = await message.answer("\x1b[31mthinking")
        more = InlineKeyboardButton(text="More", url="https://example.org")
        await sent.edit_text(f"<b>{message.html_text}</b> 0", parse_mode="HTML", reply_markup=keyboard(AGAIN, more))

    @dispatcher.callback_query()
    async def again(query: CallbackQuery) -> None:
        await query.message.edit_text("once more", reply_markup=keyboard(AGAIN))
        await query.answer("counted")

    async with polling(dispatcher, telegram_bot):
        yield


class Talk:
    """A talk through pipes: lines go in, and what comes out is collected."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reading = asyncio.create_task(self._read(), name="read a talk")
        self.out = ""

    @classmethod
    async def started(cls, telegram: TelegramStandIn, *arguments: str) -> "Talk":
        return cls(
            await asyncio.create_subprocess_exec(
                *TALK, "--url", telegram.url, *arguments,
                cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )
        )  # fmt: skip

    async def says(self, line: str, *shown: str) -> None:
        """Enter a line, and wait until all of this is shown after it."""
        before = len(self.out)
        self._process.stdin.write(f"{line}\n".encode())
        await eventually(lambda: all(text in with_documents(self.out[before:]) for text in shown))

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    async def ends(self) -> tuple[int, str]:
        """No more lines: the exit code, and what it complained about."""
        self._process.stdin.close()
        await self._reading
        return await self._process.wait(), (await self._process.stderr.read()).decode()

    async def _read(self) -> None:
        while chunk := await self._process.stdout.read(65_536):
            self.out += chunk.decode()


async def piped(telegram: TelegramStandIn, lines: str, *arguments: str) -> tuple[int, str, str]:
    """The exit code of a talk of these lines, which are all there at once, what it wrote and complained about."""
    talk = await Talk.started(telegram, *arguments)
    await talk.says(lines)
    code, err = await talk.ends()
    return code, talk.out, err


def with_documents(said: str) -> str:
    """With what is in the files in place of their paths."""
    return re.sub(r"saved: (\S+)\n", lambda saved: f"saved: {Path(saved[1]).read_text()}\n", said)


async def test_a_conversation_line_by_line(telegram: TelegramStandIn, at_work: None) -> None:
    talk = await Talk.started(telegram, "--as", "7", "--name", "Bob", "--quiet", "0")
    await talk.says("1 < 2", "> 1 < 2\n", "[2] Stand-in (edited): 1 < 2 0\n    1) Again   2) More\n")
    await talk.says("1", "[2] Stand-in (edited): once more\n    1) Again\n", "* counted\n")
    await talk.says("reply 2 /why", "[4] Stand-in: why of once more\n")
    await talk.says("/file", "[6] Stand-in: here\n    saved: a <trace>\n")
    assert await talk.ends() == (0, "")
    assert "\x1b" not in talk.out
    bob = telegram.person(7, "another name is not taken")
    assert bob.name == "Bob"
    assert [one.text for one in bob.chat if not one.sender.is_bot] == ["1 < 2", "/why", "/file"]


async def test_lines_that_are_there_at_once_wait_for_the_answers(telegram: TelegramStandIn, at_work: None) -> None:
    code, out, err = await piped(telegram, "/file\n\n  \n/file\nreply 2 x\nreply 4 y")
    assert (code, err) == (0, "")
    assert with_documents(out).splitlines() == [
        "> /file",
        "[2] Stand-in: here",
        "    saved: a <trace>",
        "> /file",
        "[4] Stand-in: here",
        "    saved: a <trace>",
        "> reply 2 x",
        "[6] Stand-in: why of here",
        "> reply 4 y",
        "[8] Stand-in: why of here",
    ]


async def test_who_comes_back_reads_what_was_said(telegram: TelegramStandIn, at_work: None) -> None:
    ada = telegram.person(42, "Ada")
    await ada.says("hello")
    await ada.hears("hello 0")
    code, out, _ = await piped(telegram, "")
    assert (code, out) == (
        0,
        "[1] Ada: hello\n[2] Stand-in (edited): hello 0\n    1) Again   2) More\n",
    )


async def test_what_cannot_be_done_is_told_and_the_talk_goes_on(telegram: TelegramStandIn, at_work: None) -> None:
    talk = await Talk.started(telegram, "--quiet", "0")
    await talk.says("1", "* there is no button to press yet\n")
    await talk.says("reply 99 x", "* there is no message 99 to reply to\n")
    await talk.says("hi", "2) More\n")
    await talk.says("2", "* the button 'More' does not tell the bot anything\n")
    await talk.says("7", "* the message 2 has no button 7\n")
    assert await talk.ends() == (0, "")


async def test_visitors_without_manners_are_told_what_is_wrong(telegram: TelegramStandIn, telegram_bot: Bot) -> None:
    await telegram_bot.set_my_commands([BotCommand(command="learn", description="Learn something")])
    async with ClientSession(telegram.url) as http:

        async def answer(method: str, path: str, **request: Any) -> tuple[int, Any]:
            async with http.request(method, f"/people/{path}", **request) as response:
                return response.status, await response.json()

        unknown = {"error": "nobody is introduced as 42: POST /people/42 first"}
        assert await answer("GET", "42/messages") == (404, unknown)
        assert await answer("POST", "0") == (400, {"error": "the id of a person is above zero, 0 is not"})
        assert await answer("POST", "42", data="[]") == (400, {"error": "a JSON object was expected"})
        assert await answer("POST", "42", json={"name": "Eve"}) == (200, {"id": 42, "name": "Eve"})
        assert await answer("GET", "42/menu") == (200, [{"command": "learn", "description": "Learn something"}])
        empty = {"error": "a text that is said must not be empty"}
        assert await answer("POST", "42/messages", json={"text": ""}) == (400, empty)
        assert await answer("GET", "42/documents/9") == (404, {"error": "the message 9 has no document"})
        assert (await answer("GET", "42/messages?after=x"))[0] == 400


async def test_without_a_stand_in_the_cure_is_said(telegram: TelegramStandIn) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, out, err = await piped(telegram, "hi", "--url", url)
    assert (code, out) == (3, "")
    assert err == f"no stand-in for Telegram answers at {url}: start it with `make bot`\n"


async def test_a_talk_that_is_interrupted_ends_quietly(telegram: TelegramStandIn) -> None:
    talk = await Talk.started(telegram)
    await talk.says("nobody answers", "> nobody answers\n")
    talk.interrupt()
    assert await talk.ends() == (0, "")


async def test_a_stand_in_that_goes_ends_the_talk() -> None:
    async with TelegramStandIn.running() as telegram:
        talk = await Talk.started(telegram)
        await talk.says("nobody answers", "> nobody answers\n")
    assert await talk.ends() == (3, f"the stand-in at {telegram.url} is gone\n")


async def test_on_a_terminal_an_edit_takes_the_place_of_what_it_edits(
    telegram: TelegramStandIn, telegram_bot: Bot
) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *TALK, "--url", telegram.url, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    seen = bytearray()

    def read() -> str:
        with suppress(OSError):  # nothing new, or the terminal is gone
            seen.extend(os.read(ours, 65_536))
        return seen.decode(errors="replace").replace("\r\n", "\n")

    ada = telegram.person(42, "Ada")
    sent = await telegram_bot.send_message(42, "working")
    await eventually(lambda: "[1] Stand-in: working\n" in read())
    await sent.edit_text("done", reply_markup=keyboard(AGAIN))
    await eventually(lambda: read().endswith("\x1b[1F\x1b[J[1] Stand-in (edited): done\n    1) Again\n"))
    os.write(ours, b"hi\n")
    await eventually(lambda: [one.text for one in ada.chat] == ["done", "hi"])
    await sent.edit_text("after hi", reply_markup=keyboard(AGAIN))
    await eventually(lambda: read().endswith("hi\n[1] Stand-in (edited): after hi\n    1) Again\n"))
    os.write(ours, b"1\n")
    (pressed,) = await eventually(lambda: telegram_bot.get_updates(offset=2, timeout=1))
    await pressed.callback_query.answer("yes").as_(telegram_bot)
    await eventually(lambda: "* yes\n" in read())
    await sent.edit_text("later")
    await eventually(lambda: read().endswith("* yes\n[1] Stand-in (edited): later\n"))
    os.write(ours, b"\x04")
    assert await process.wait() == 0
    os.close(ours)
