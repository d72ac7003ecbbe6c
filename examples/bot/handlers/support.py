"""Any other text is a question: answers it, and again when asked to."""

from contextlib import suppress

from aiogram import F, Router
from aiogram.exceptions import AiogramError
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from examples.bot.handlers.limits import LONGEST_QUESTION, objection
from examples.bot.pipelines.runner import PipelineRunner
from examples.bot.progress import ProgressUpdater
from examples.bot.questions import Questions
from examples.bot.users import User
from tracequeue import TraceContext

FORGOTTEN = "I no longer know this question. Please write it again."
BUSY = "I am still at it."
AGAIN = "I think again …"


class Again(CallbackData, prefix="again"):
    """What the button says when it is pressed: the key of a question."""

    question: str


def router() -> Router:
    answering = Router(name="support")
    answering.message.register(on_question, F.text, ~F.text.startswith("/"))
    answering.callback_query.register(on_again, Again.filter())
    return answering


async def on_question(message: Message, user: User, runner: PipelineRunner, questions: Questions) -> None:
    question = (message.text or "").strip()
    if reply := objection(question, LONGEST_QUESTION):
        await message.answer(reply)
        return
    async with (
        TraceContext("support", telegram_id=user.telegram_id, user_id=user.id or 0, session_id=str(message.chat.id)),
        ProgressUpdater(message) as progress,
    ):
        reply = await runner.run("support", question, user, progress)
        await progress.answer(reply, _again(questions.keep(question)))


async def on_again(
    query: CallbackQuery, callback_data: Again, user: User, runner: PipelineRunner, questions: Questions
) -> None:
    key, message = callback_data.question, query.message
    question = questions.text(key)
    if question is None or message is None:
        await _tell(query, FORGOTTEN)
        return
    if questions.is_being_answered(key):
        await _tell(query, BUSY)
        return
    with questions.being_answered(key):
        await _tell(query, AGAIN)
        async with (
            TraceContext(
                "support_regen", telegram_id=user.telegram_id, user_id=user.id or 0, session_id=str(message.chat.id)
            ),
            ProgressUpdater(message) as progress,
        ):
            reply = await runner.run("support", question, user, progress)
            await progress.answer(reply, _again(key))


def _again(key: str) -> InlineKeyboardMarkup:
    button = InlineKeyboardButton(text="Answer again", callback_data=Again(question=key).pack())
    return InlineKeyboardMarkup(inline_keyboard=[[button]])


async def _tell(query: CallbackQuery, text: str) -> None:
    """A notice over the chat. Telegram refuses it when the button was pressed long ago; nobody waits for it then."""
    with suppress(AiogramError):
        await query.answer(text)
