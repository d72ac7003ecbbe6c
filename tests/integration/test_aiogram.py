"""`tracequeue.integrations.aiogram`: real dispatchers, polling a real server that speaks the Bot API."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from aiogram import Dispatcher, F, Router
from aiogram.dispatcher.event.bases import CancelHandler, SkipHandler
from aiogram.types import CallbackQuery, ErrorEvent, InlineKeyboardButton, InlineKeyboardMarkup, Message

from examples.bot.stand_ins.telegram import TelegramStandIn
from tests.fixtures.polling import eventually
from tests.fixtures.telegram import bot_of, polling
from tracequeue import TraceContext, get_current_trace_id, span, traced_span
from tracequeue.integrations.aiogram import install
from tracequeue.telegram import MESSAGES, UPDATE_TYPE, message_key
from tracequeue.testing import MemoryCollector


@pytest.fixture
def dispatcher() -> Dispatcher:
    return Dispatcher()


@asynccontextmanager
async def traced(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector, **options: Any
) -> AsyncIterator[None]:
    """The dispatcher at work, with tracequeue installed, until the block is left."""
    install(dispatcher, recorded, **options)
    bot = bot_of(telegram)
    async with polling(dispatcher, bot):
        yield
    await bot.session.close()


async def traces(recorded: MemoryCollector, count: int) -> list[dict[str, Any]]:
    """The ended traces, once there are so many."""
    await eventually(lambda: len(recorded.traces) >= count)
    assert len(recorded.traces) == count
    return recorded.traces


async def test_a_trace_for_each_handled_update(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector
) -> None:
    router = Router()
    dispatcher.include_router(router)

    @router.message(F.text == "hello")
    async def greet(message: Message) -> None:
        with span("step"):
            await message.answer("hi")

    ada = telegram.person(42, "Ada")
    async with traced(telegram, dispatcher, recorded):
        await ada.says("hello")
        answer = await ada.hears("hi")
        (trace,) = await traces(recorded, 1)
    assert (trace["pipeline_name"], trace["telegram_id"], trace["session_id"]) == ("greet", 42, "42")
    assert (trace["status"], trace["span_count"]) == ("ok", 1)
    assert trace["metadata"][UPDATE_TYPE] == "message"
    assert trace["metadata"][MESSAGES] == [message_key(42, answer.message_id)]


@pytest.mark.parametrize("flag", ["support", True, False])
async def test_the_flag_names_the_pipeline_or_leaves_the_handler_untraced(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector, flag: Any
) -> None:
    @dispatcher.message(flags={"trace": flag})
    async def greet(message: Message) -> None:
        with span("step"):
            await message.answer(str(get_current_trace_id()))

    ada = telegram.person(42, "Ada")
    async with traced(telegram, dispatcher, recorded):
        await ada.says("hello")
        await ada.hears("None" if flag is False else "-")
    assert [one["pipeline_name"] for one in recorded.traces] == {"support": ["support"], True: ["greet"], False: []}[
        flag
    ]
    assert len(recorded.events) == (0 if flag is False else 3)


async def test_what_nobody_handles_leaves_nothing(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector
) -> None:
    seen: list[str] = []

    @dispatcher.message(F.text == "skip")
    async def skip(message: Message) -> None:
        seen.append("skip")
        raise SkipHandler

    ada = telegram.person(42, "Ada")
    async with traced(telegram, dispatcher, recorded):
        await ada.says("nobody listens")
        await ada.says("skip")
        await eventually(lambda: seen)
    assert recorded.events == []


async def test_a_handler_that_passes_on_gives_its_trace_to_the_next(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector
) -> None:
    @dispatcher.message()
    async def first(message: Message) -> None:
        raise SkipHandler

    @dispatcher.message()
    async def second(message: Message) -> None:
        raise CancelHandler

    ada = telegram.person(42, "Ada")
    async with traced(telegram, dispatcher, recorded):
        await ada.says("hello")
        (trace,) = await traces(recorded, 1)
    assert (trace["pipeline_name"], trace["status"]) == ("second", "ok")


async def test_an_explicit_trace_takes_the_place_of_the_automatic_one(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector
) -> None:
    @dispatcher.message()
    async def handle(message: Message) -> None:
        waiting = await message.answer("a moment")
        async with TraceContext("support", telegram_id=42, user_id=7):
            with span("agent:trainer"):
                await waiting.edit_text("working")
        await message.answer("done")

    ada = telegram.person(42, "Ada")
    async with traced(telegram, dispatcher, recorded, api_calls=True):
        await ada.says("hello")
        done = await ada.hears("done")
        (trace,) = await traces(recorded, 1)
    assert (trace["pipeline_name"], trace["user_id"], trace["session_id"]) == ("support", 7, "42")
    names = [one["span_name"] for one in recorded.spans]
    assert names == ["telegram:sendMessage", "telegram:editMessageText", "agent:trainer", "telegram:sendMessage"]
    edit, trainer = recorded.spans[1:3]
    assert edit["parent_span_id"] == trainer["span_id"]
    assert edit["input_data"]["text"] == "working"
    (working,) = {key for one in recorded.spans[:2] for key in one["output_data"]}
    assert trace["metadata"][MESSAGES] == [working, message_key(42, done.message_id)]


async def test_a_failure_is_recorded_and_its_apology_belongs_to_it(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector
) -> None:
    @dispatcher.message()
    async def handle(message: Message) -> None:
        raise ValueError("no")

    @dispatcher.error()
    async def apologise(event: ErrorEvent) -> None:
        assert event.update.message is not None
        await event.update.message.answer("sorry")

    ada = telegram.person(42, "Ada")
    async with traced(telegram, dispatcher, recorded):
        await ada.says("hello")
        sorry = await ada.hears("sorry")
        (trace,) = await traces(recorded, 1)
    assert (trace["pipeline_name"], trace["status"], trace["error"]) == ("handle", "error", "ValueError: no")
    assert trace["metadata"][MESSAGES] == [message_key(42, sorry.message_id)]


async def test_a_failure_that_nobody_handles_is_recorded(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector
) -> None:
    @dispatcher.message()
    async def handle(message: Message) -> None:
        raise ValueError("no")

    ada = telegram.person(42, "Ada")
    async with traced(telegram, dispatcher, recorded):
        await ada.says("hello")
        (trace,) = await traces(recorded, 1)
    assert trace["error"] == "ValueError: no"


async def test_a_call_of_the_bot_api_that_fails_is_a_failed_span(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector
) -> None:
    @dispatcher.message()
    async def handle(message: Message) -> None:
        await message.answer("hi")

    ada = telegram.person(42, "Ada")
    telegram.fail("sendMessage", status=429, retry_after=1, times=1)
    async with traced(telegram, dispatcher, recorded, api_calls=True):
        await ada.says("hello")
        (trace,) = await traces(recorded, 1)
    (call,) = recorded.spans
    assert (call["success"], trace["success"]) == (False, False)
    assert "TelegramRetryAfter" in call["error"]
    assert telegram.token not in str(recorded.events)


async def test_buttons_partials_and_classes_have_names(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector
) -> None:
    async def offer(message: Message, label: str) -> None:
        button = InlineKeyboardButton(text=label, callback_data="x")
        await message.answer("choose", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[button]]))

    @dispatcher.callback_query()
    async def pressed(query: CallbackQuery) -> None:
        await query.answer("noted")

    dispatcher.message.register(partial(offer, label="Again"))
    ada = telegram.person(42, "Ada")
    async with traced(telegram, dispatcher, recorded):
        await ada.says("hello")
        await ada.hears("choose")
        assert await ada.presses("Again") == "noted"
        offered, chosen = await traces(recorded, 2)
    assert (offered["pipeline_name"], chosen["pipeline_name"]) == ("offer", "pressed")
    assert (chosen["session_id"], chosen["telegram_id"], chosen["metadata"][UPDATE_TYPE]) == (
        "42",
        42,
        "callback_query",
    )


async def test_two_people_at_once_have_traces_of_their_own(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector
) -> None:
    both = asyncio.Barrier(2)

    @traced_span("work")
    async def work(name: str) -> str:
        await both.wait()
        return name

    @dispatcher.message()
    async def handle(message: Message) -> None:
        await message.answer(await work(message.text or ""))

    ada, bob = telegram.person(42, "Ada"), telegram.person(43, "Bob")
    async with traced(telegram, dispatcher, recorded):
        await ada.says("I am Ada")
        await bob.says("I am Bob")
        of = {one["telegram_id"]: one["trace_id"] for one in await traces(recorded, 2)}
    assert {one["trace_id"]: one["output_data"] for one in recorded.spans} == {of[42]: "I am Ada", of[43]: "I am Bob"}


@pytest.mark.parametrize(("grace_seconds", "status"), [(30, "ok"), (0, "cancelled")])
async def test_a_shutdown_waits_for_handlers_and_cancels_what_takes_too_long(
    telegram: TelegramStandIn, dispatcher: Dispatcher, recorded: MemoryCollector, grace_seconds: float, status: str
) -> None:
    """The collector is stopped after them: their traces have an end."""

    @dispatcher.message()
    async def handle(message: Message) -> None:
        with span("step"):
            await message.answer("done")

    ada = telegram.person(42, "Ada")
    telegram.fail("sendMessage", delay=1.0)
    async with traced(telegram, dispatcher, recorded, grace_seconds=grace_seconds):
        await ada.says("hello")
        await eventually(lambda: telegram.calls("sendMessage"))
    (trace,) = recorded.traces
    assert (trace["status"], trace["span_count"]) == (status, 1)
    assert recorded.stopped


def test_it_is_installed_once(dispatcher: Dispatcher, recorded: MemoryCollector) -> None:
    install(dispatcher, recorded)
    with pytest.raises(ValueError, match="already"):
        install(dispatcher, recorded)


def test_nothing_imports_aiogram_but_who_uses_it() -> None:
    program = (
        "import sys, tracequeue, tracequeue.collector, tracequeue.testing, tracequeue.integrations; "
        "assert 'aiogram' not in sys.modules; import tracequeue.integrations.aiogram; assert 'aiogram' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_aiogram_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['aiogram'] = None\n"
        "try:\n    import tracequeue.integrations.aiogram\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert "pip install 'tracequeue[aiogram]'" in done.stdout
