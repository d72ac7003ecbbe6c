"""`/train <topic>`: sets exercises about a topic."""

from aiogram import Router
from aiogram.filters import Command, CommandObject
from aiogram.types import Message

from examples.bot.handlers.limits import topic_objection
from examples.bot.pipelines.runner import PipelineRunner
from examples.bot.progress import ProgressUpdater
from examples.bot.users import User
from tracequeue import TraceContext


def router() -> Router:
    training = Router(name="train")
    training.message.register(on_train, Command("train", ignore_case=True))
    return training


async def on_train(message: Message, command: CommandObject, user: User, runner: PipelineRunner) -> None:
    topic = (command.args or "").strip()
    if answer := topic_objection(topic, "train"):
        await message.answer(answer)
        return
    async with (
        TraceContext("train", telegram_id=user.telegram_id, user_id=user.id or 0, session_id=str(message.chat.id)),
        ProgressUpdater(message) as progress,
    ):
        await progress.answer(await runner.run("train", topic, user, progress))
