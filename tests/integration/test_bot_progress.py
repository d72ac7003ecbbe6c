"""`ProgressUpdater` of the reference bot, against a real server that speaks the Bot API."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramForbiddenError, TelegramRetryAfter
from aiogram.types import Message

from examples.bot.progress import APOLOGY, BEGINNING, INTERRUPTED, ProgressUpdater
from examples.bot.stand_ins.telegram import ChatMessage, TelegramStandIn
from tests.fixtures.polling import eventually

SOON = 0.01


class Chat:
    """A chat that a progress is shown in."""

    def __init__(self, telegram: TelegramStandIn, bot: Bot) -> None:
        self.telegram = telegram
        self.person = telegram.person(42, "Ada")
        self._bot = bot

    async def asked(self) -> Message:
        message_id = await self.person.says("/learn swimming")
        return Message.model_validate(
            {"message_id": message_id, "date": 0, "chat": {"id": 42, "type": "private"}}, context={"bot": self._bot}
        )

    async def progress(self, pause: float = SOON) -> ProgressUpdater:
        return ProgressUpdater(await self.asked(), pause)

    @property
    def answers(self) -> list[ChatMessage]:
        return [message for message in self.person.chat if message.sender.is_bot]

    @property
    def answer(self) -> ChatMessage:
        """The only one."""
        (answer,) = self.answers
        return answer

    async def shows(self, text: str) -> None:
        await eventually(lambda: self.answers and self.answers[-1].text == text)


async def pipeline(
    progress: ProgressUpdater, *, shows: str = "", answers: str = "", fails: Exception | None = None
) -> None:
    async with progress:
        progress.show(shows)
        if answers:
            await progress.answer(answers)
        if fails is not None:
            raise fails


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    async with (
        TelegramStandIn.running() as telegram,
        Bot(telegram.token, session=AiohttpSession(api=TelegramAPIServer.from_base(telegram.url))) as bot,
    ):
        yield Chat(telegram, bot)


async def test_one_message_shows_the_way_and_becomes_the_answer(chat: Chat) -> None:
    async with await chat.progress() as progress:
        for text in ("first", "second"):
            progress.show(text)
            await chat.shows(text)
        await progress.answer("done")
    assert (chat.answer.text, chat.answer.past) == ("done", (BEGINNING, "first", "second"))


async def test_what_comes_too_fast_is_left_out_and_the_newest_is_shown(chat: Chat) -> None:
    async with await chat.progress(pause=0.2) as progress:
        for number in range(100):
            progress.show(str(number))
        await chat.shows("99")
        await progress.answer("done")
    assert chat.answer.past == (BEGINNING, "99")


async def test_the_answer_does_not_wait_for_the_next_edit(chat: Chat) -> None:
    async with await chat.progress(pause=600) as progress:
        progress.show("never seen")
        await progress.answer("done")
    assert chat.answer.past == (BEGINNING,)


async def test_an_edit_under_way_never_arrives_after_the_answer(chat: Chat) -> None:
    async with await chat.progress() as progress:
        chat.telegram.fail("editMessageText", delay=0.5)
        progress.show("late")
        await eventually(lambda: chat.telegram.calls("editMessageText"))
        await progress.answer("done")
    assert (chat.answer.text, chat.answer.past) == ("done", (BEGINNING, "late"))


async def test_nothing_is_edited_to_what_it_is(chat: Chat) -> None:
    async with await chat.progress() as progress:
        progress.show("same")
        await chat.shows("same")
        progress.show(" same ")
        progress.show("other")
        await chat.shows("other")
        progress.show("")
        await progress.answer("other")
    assert len(chat.telegram.calls("editMessageText")) == 3


@pytest.mark.parametrize(
    "fault",
    [{"status": 429, "retry_after": 1}, {"status": 500}, {"status": 400}, {"status": 403}, {"drop": "answer"}],
)
async def test_faults_of_telegram_on_the_way_fail_nothing(chat: Chat, fault: dict[str, object]) -> None:
    async with await chat.progress() as progress:
        chat.telegram.fail("editMessageText", **fault)  # type: ignore[arg-type]
        progress.show("first")
        await eventually(lambda: chat.telegram.calls("editMessageText"))
        progress.show("second")
        await chat.shows("second")
        await progress.answer("done")
    assert chat.answer.text == "done"


async def test_what_telegram_had_no_time_for_is_shown_later(chat: Chat) -> None:
    chat.telegram.fail("editMessageText", status=429, retry_after=1)
    async with await chat.progress() as progress:
        progress.show("first")
        await chat.shows("first")
        await progress.answer("done")
    assert chat.answer.past == (BEGINNING, "first")


async def test_without_a_message_the_answer_is_sent(chat: Chat) -> None:
    chat.telegram.fail("sendMessage", status=500)
    async with await chat.progress() as progress:
        progress.show("nowhere")
        await progress.answer("done")
    assert (chat.answer.text, chat.answer.past) == ("done", ())


@pytest.mark.parametrize(
    "fault", [{"status": 429, "retry_after": 1}, {"status": 502}, {"drop": "request"}, {"drop": "answer"}]
)
async def test_an_answer_is_tried_again(chat: Chat, fault: dict[str, object]) -> None:
    async with await chat.progress() as progress:
        chat.telegram.fail("editMessageText", times=2, **fault)  # type: ignore[arg-type]
        await progress.answer("done")
    assert chat.answer.text == "done"


async def test_an_answer_whose_place_was_deleted_is_a_message_of_its_own(chat: Chat) -> None:
    chat.telegram.fail("editMessageText", status=400, description="Bad Request: message to edit not found")
    await pipeline(await chat.progress(), answers="done")
    assert [message.text for message in chat.answers] == [BEGINNING, "done"]


async def test_an_answer_for_which_telegram_has_no_time_today_is_an_error(chat: Chat) -> None:
    chat.telegram.fail("editMessageText", status=429, retry_after=3600)
    with pytest.raises(TelegramRetryAfter):
        await pipeline(await chat.progress(), answers="done")
    assert chat.answer.text == APOLOGY


async def test_a_person_who_has_blocked_the_bot_is_an_error(chat: Chat) -> None:
    progress = await chat.progress()
    await chat.person.blocks_bot()
    with pytest.raises(TelegramForbiddenError):
        await pipeline(progress, answers="done")
    assert chat.answers == []


async def test_a_long_answer_goes_on_in_further_messages(chat: Chat) -> None:
    words = " ".join(f"word{number}" for number in range(1000))
    async with await chat.progress() as progress:
        progress.show(words)
        await eventually(lambda: chat.answer.past)
        await progress.answer(words)
    assert " ".join(message.text for message in chat.answers) == words
    assert len(chat.answers) == 2


async def test_a_failure_is_told_and_comes_through(chat: Chat) -> None:
    with pytest.raises(KeyError, match="secret"):
        await pipeline(await chat.progress(), shows="working", fails=KeyError("secret"))
    assert chat.answer.text == APOLOGY


async def test_a_failure_behind_the_answer_leaves_it(chat: Chat) -> None:
    with pytest.raises(KeyError):
        await pipeline(await chat.progress(), answers="done", fails=KeyError("late"))
    assert chat.answer.text == "done"


async def test_a_failure_while_telegram_is_away_comes_through_too(chat: Chat) -> None:
    chat.telegram.fail("editMessageText", status=500, times=None)
    with pytest.raises(KeyError):
        await pipeline(await chat.progress(), shows="working", fails=KeyError("secret"))
    assert chat.answer.text == BEGINNING


async def test_who_is_interrupted_is_told(chat: Chat) -> None:
    async def work() -> None:
        async with await chat.progress() as progress:
            progress.show("working")
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await chat.shows("working")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert chat.answer.text == INTERRUPTED
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("progress in chat")]


async def test_it_says_where_it_is_and_no_more(chat: Chat) -> None:
    assert repr(await chat.progress()) == "ProgressUpdater(chat 42)"
