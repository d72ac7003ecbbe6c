"""`/start`, `/help` and the menu: what the bot can do."""

import logging
from typing import Final

from aiogram import Bot, Router
from aiogram.exceptions import AiogramError
from aiogram.filters import Command, CommandStart
from aiogram.types import BotCommand, Message

from examples.bot.users import User

logger = logging.getLogger(__name__)

MENU: Final = [
    BotCommand(command="learn", description="explain a topic, such as /learn swimming"),
    BotCommand(command="train", description="exercises about a topic, such as /train swimming"),
    BotCommand(command="help", description="what I can do"),
]
HELP = "\n".join([
    "Here is what I can do:",
    *(f"/{one.command}: {one.description}" for one in MENU),
    "Anything else you write is a question, and I answer it.",
])  # fmt: skip


def router() -> Router:
    basics = Router(name="basics")
    basics.message.register(on_start, CommandStart())
    basics.message.register(on_help, Command("help", ignore_case=True))
    return basics


async def on_start(message: Message, user: User) -> None:
    await message.answer(f"Hello, {user.name}!\n{HELP}")


async def on_help(message: Message) -> None:
    await message.answer(HELP)


async def show_menu(bot: Bot) -> None:
    """At the start. Without its menu the bot does its work all the same."""
    try:
        await bot.set_my_commands(MENU)
    except AiogramError as error:
        logger.warning("the menu stays as it was: %s", error)
