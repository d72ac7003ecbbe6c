"""`tracequeue.integrations.aiogram`: real dispatchers, polling a real server that speaks the Bot API."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from aiogram import Bot, Dispatcher, F, Router
from aiogram.dispatcher.event.bases import CancelHandler, SkipHandler
from aiogram.fsm.scene import Scene, SceneRegistry, on
from aiogram.types import (
    CallbackQuery,
    Chat,
    ErrorEvent,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
    Update,
    User,
)

from examples.bot.stand_ins.telegram import TelegramStandIn
from tests.fixtures.polling import eventually
from tests.fixtures.telegram import bot_of, polling
from tracequeue import TraceContext, get_collector, get_current_trace_id, init_collector, span, traced_span
from tracequeue import collector as process
from tracequeue.integrations.aiogram import install, updates
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
    install(dispatcher, **options)
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
    assert trace["metadata"][MESSAGES] == [message_key(answer.sender.id, 42, answer.message_id)]


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
    assert trace["metadata"][MESSAGES] == [working, message_key(done.sender.id, 42, done.message_id)]


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
    assert trace["metadata"][MESSAGES] == [message_key(sorry.sender.id, 42, sorry.message_id)]


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


async def test_updates_that_come_at_the_shutdown_are_waited_for(
    dispatcher: Dispatcher, recorded: MemoryCollector
) -> None:
    """An open connection of a webhook may bring one; and a handler may feed one itself."""
    begun = asyncio.Event()

    @dispatcher.message(F.text == "outer")
    async def outer(message: Message, bot: Bot) -> None:
        begun.set()
        await dispatcher.feed_update(bot, update("inner"))
        with span("behind the inner one"):
            for _ in range(10):
                await asyncio.sleep(0)

    @dispatcher.message()
    async def inner(message: Message) -> None:
        pass

    install(dispatcher, grace_seconds=30)
    bot = Bot("1:token")
    await dispatcher.emit_startup(bot=bot)
    first = asyncio.create_task(dispatcher.feed_update(bot, update("outer")))
    await begun.wait()
    closing = asyncio.create_task(dispatcher.emit_shutdown(bot=bot))
    await asyncio.sleep(0)
    await dispatcher.feed_update(bot, update("late"))
    await closing
    assert first.done()
    assert sorted((one["pipeline_name"], one["status"]) for one in recorded.traces) == [
        ("inner", "ok"), ("inner", "ok"), ("outer", "ok"),
    ]  # fmt: skip
    assert recorded.stats().dropped == {}


async def test_a_handler_that_cannot_be_cancelled_does_not_hold_up_the_shutdown(
    dispatcher: Dispatcher, recorded: MemoryCollector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "CANCELLED_SECONDS", 0.1)
    release = asyncio.Event()

    @dispatcher.message()
    async def stubborn(message: Message) -> None:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()

    install(dispatcher, grace_seconds=0)
    bot = Bot("1:token")
    await dispatcher.emit_startup(bot=bot)
    task = asyncio.create_task(dispatcher.feed_update(bot, update("hello")))
    await asyncio.sleep(0)
    await dispatcher.emit_shutdown(bot=bot)
    assert "1 handlers go on though they were cancelled" in caplog.text
    assert recorded.stopped
    release.set()
    await task


async def test_the_last_dispatcher_stops_the_collector_and_a_shutdown_may_trace(recorded: MemoryCollector) -> None:
    first, second, bot = Dispatcher(), Dispatcher(timeout="a value of the bot's own"), Bot("1:token")
    for one in (first, second):
        install(one)
        await one.emit_startup(bot=bot, **one.workflow_data)

    async def goodbye() -> None:
        with TraceContext("goodbye"):
            pass

    second.shutdown.register(goodbye)
    await first.emit_shutdown(bot=bot)
    assert not recorded.stopped
    await second.emit_shutdown(bot=bot, **second.workflow_data)
    assert [one["pipeline_name"] for one in recorded.traces] == ["goodbye"]
    assert recorded.stopped


async def test_a_dispatcher_that_starts_again_traces_again(redis_url: str, prefix: str) -> None:
    process.use(None)
    init_collector(redis_url=redis_url, prefix=prefix)
    dispatcher, bot = Dispatcher(), Bot("1:token")

    @dispatcher.message()
    async def greet(message: Message) -> None:
        pass

    install(dispatcher)
    for _ in range(2):
        await dispatcher.emit_startup(bot=bot)
        await dispatcher.feed_update(bot, update("hello"))
        await dispatcher.emit_shutdown(bot=bot)
        collector = get_collector()
        assert collector is not None
        assert (collector.stopped, collector.stats().emitted, collector.stats().complete) == (True, 2, True)
    process.use(None)


async def test_what_fails_before_a_handler_is_a_failure_too(dispatcher: Dispatcher, recorded: MemoryCollector) -> None:
    """A filter, or a middleware of the bot's, while an error handler keeps it from aiogram's log."""
    failing = [""]

    def fail(place: str) -> None:
        if place == failing[-1]:
            raise ConnectionError(f"{place} is away")

    async def outer(handler: Any, event: Any, data: Any) -> Any:
        fail("outer")
        return await handler(event, data)

    async def inner(handler: Any, event: Any, data: Any) -> Any:
        fail("inner")
        return await handler(event, data)

    async def filtering(message: Message) -> bool:
        fail("filter")
        return True

    @dispatcher.message(filtering)
    async def greet(message: Message) -> None:
        raise AssertionError("it should not come so far")

    @dispatcher.error()
    async def apologise(event: ErrorEvent) -> None: ...

    dispatcher.message.outer_middleware(outer)
    dispatcher.message.middleware(inner)
    install(dispatcher)
    for place in ("outer", "filter", "inner"):
        failing.append(place)
        await dispatcher.feed_update(Bot("1:token"), update("hello"))
    assert [(one["pipeline_name"], one["error"]) for one in recorded.traces] == [
        ("message", "ConnectionError: outer is away"),
        ("message", "ConnectionError: filter is away"),
        ("greet", "ConnectionError: inner is away"),
    ]


async def test_what_a_middleware_turns_away_leaves_nothing(dispatcher: Dispatcher, recorded: MemoryCollector) -> None:
    @dispatcher.message.outer_middleware
    async def throttle(handler: Any, event: Any, data: Any) -> None:
        with span("look-up"):
            pass

    @dispatcher.message()
    async def greet(message: Message) -> None: ...

    install(dispatcher)
    await dispatcher.feed_update(Bot("1:token"), update("hello"))
    assert recorded.events == []


async def test_an_untraced_handler_that_passes_on_does_not_hide_the_next(
    dispatcher: Dispatcher, recorded: MemoryCollector
) -> None:
    @dispatcher.message(flags={"trace": False})
    async def first(message: Message) -> None:
        raise SkipHandler

    @dispatcher.message(flags={"trace": "x" * 300})
    async def second(message: Message) -> None:
        raise ValueError("money lost")

    install(dispatcher)
    with pytest.raises(ValueError, match="money lost"):
        await dispatcher.feed_update(Bot("1:token"), update("hello", user_id=2**63))
    (trace,) = recorded.traces
    assert (trace["pipeline_name"], trace["error"]) == ("x" * 200, "ValueError: money lost")
    assert "telegram_id" not in trace


async def test_handlers_of_scenes_are_told_apart(dispatcher: Dispatcher, recorded: MemoryCollector) -> None:
    class Quiz(Scene, state="quiz"):
        @on.message.enter()
        async def ask(self, message: Message) -> None: ...

        @on.message()
        async def answer(self, message: Message) -> None: ...

    router = Router()
    router.message.register(Quiz.as_handler(), F.text == "start")
    dispatcher.include_router(router)
    SceneRegistry(dispatcher).add(Quiz)
    install(dispatcher)
    for text in ("start", "yes"):
        await dispatcher.feed_update(Bot("1:token"), update(text))
    assert [one["pipeline_name"] for one in recorded.traces] == ["enter_to_scene_handler", "Quiz.answer"]


def update(text: str, user_id: int = 42) -> Update:
    """As Telegram would send it."""
    user = User(id=user_id, is_bot=False, first_name="Ada")
    message = Message(message_id=1, date=datetime.now(UTC), chat=Chat(id=42, type="private"), from_user=user, text=text)
    return Update(update_id=1, message=message)


def test_it_is_installed_once(dispatcher: Dispatcher, recorded: MemoryCollector) -> None:
    install(dispatcher)
    with pytest.raises(ValueError, match="already"):
        install(dispatcher)


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
