"""`/learn <topic>`: explains a topic."""

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message

from examples.bot.handlers.limits import topic_objection
from examples.bot.pipelines.runner import PipelineRunner
from examples.bot.progress import ProgressUpdater
from examples.bot.users import User
from tracequeue import TraceContext


def router() -> Router:
    learning = Router(name="learn")
    learning.message.register(on_learn, Command("learn", ignore_case=True))
    return learning


async def on_learn(message: Message, command: CommandObject, user: User, runner: PipelineRunner) -> None:
    topic = (command.args or "").strip()
    if answer := topic_objection(topic, "learn"):
        await message.answer(answer)
        return
    async with (
        TraceContext("learn", telegram_id=user.telegram_id, user_id=user.id or 0, session_id=str(message.chat.id)),
        ProgressUpdater(message) as progress,
    ):
        await progress.answer(await runner.run("learn", topic, user, progress))
