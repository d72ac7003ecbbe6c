"""What no other router takes: commands and buttons that nobody knows, and messages without text."""

from aiogram import F, Router
from aiogram.enums import ChatType, ContentType
from aiogram.types import CallbackQuery, Message

READABLE = "I can read text only. Write your question in words, or see /help."
UNKNOWN = "I do not know this command. See /help for those I know."
OLD = "This button no longer works. Please write your question again."
WORDLESS = (
    ContentType.STICKER, ContentType.PHOTO, ContentType.VIDEO, ContentType.VIDEO_NOTE, ContentType.VOICE,
    ContentType.AUDIO, ContentType.ANIMATION, ContentType.DOCUMENT, ContentType.LOCATION, ContentType.CONTACT,
    ContentType.POLL, ContentType.DICE,
)  # fmt: skip
"""Of the rest most are notices of Telegram, which nobody wants an answer to."""


def router() -> Router:
    other = Router(name="other")
    other.message.filter(F.chat.type == ChatType.PRIVATE)
    other.message.register(on_unknown_command, F.text.startswith("/"))
    other.message.register(on_wordless, F.content_type.in_(WORDLESS))
    other.callback_query.register(on_old_button)
    return other


async def on_unknown_command(message: Message) -> None:
    await message.answer(UNKNOWN)


async def on_wordless(message: Message) -> None:
    await message.answer(READABLE)


async def on_old_button(query: CallbackQuery) -> None:
    await query.answer(OLD)
