"""Answers on their way into the chat: as messages, or as a file where they would be too many."""

import asyncio
from collections.abc import Sequence

from aiogram import Bot
from aiogram.enums import ParseMode
from aiogram.exceptions import AiogramError, TelegramBadRequest, TelegramRetryAfter
from aiogram.types import BufferedInputFile, CallbackQuery, InlineKeyboardMarkup, LinkPreviewOptions, Message

from tracequeue_worker.telegram.lines import Line, line, messages

MOST_MESSAGES = 3
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)


async def send(
    bot: Bot, chat_id: int, lines: Sequence[Line], *, buttons: InlineKeyboardMarkup | None = None, name: str = "answer"
) -> None:
    """The lines as up to three messages, the buttons below the last; else the first line above a file of them all."""
    texts = messages(lines)
    if len(texts) > MOST_MESSAGES:
        await _send_file(bot, chat_id, lines, buttons, name)
        return
    for text in texts:
        await bot.send_message(
            chat_id,
            text,
            parse_mode=ParseMode.HTML,
            link_preview_options=NO_PREVIEW,
            reply_markup=buttons if text is texts[-1] else None,
        )


async def edit(bot: Bot, message: Message, lines: Sequence[Line], buttons: InlineKeyboardMarkup | None = None) -> bool:
    """Put the lines, which fit into one message, into the place of what it says; false if it says just that."""
    try:
        await bot.edit_message_text(
            messages(lines)[0],
            chat_id=message.chat.id,
            message_id=message.message_id,
            parse_mode=ParseMode.HTML,
            link_preview_options=NO_PREVIEW,
            reply_markup=buttons,
        )
    except TelegramBadRequest as error:
        if "message is not modified" not in error.message:
            raise
        return False
    return True


async def tell(bot: Bot, message: Message, lines: Sequence[Line]) -> None:
    """As `edit`, for what must be read: where the message cannot be edited now, or is gone, a new one says it."""
    try:
        await edit(bot, message, lines)
    except TelegramRetryAfter as error:
        await asyncio.sleep(error.retry_after)
        await send(bot, message.chat.id, lines)
    except AiogramError:
        await send(bot, message.chat.id, lines)


async def acknowledge(press: CallbackQuery, text: str | None = None) -> None:
    """End the waiting of a button that was pressed; a text, of up to 200 characters, is shown above the chat."""
    try:
        await press.answer(text)
    except TelegramBadRequest as error:
        if "query is too old" not in error.message:
            raise


async def _send_file(
    bot: Bot, chat_id: int, lines: Sequence[Line], buttons: InlineKeyboardMarkup | None, name: str
) -> None:
    text = "\n".join(one.text for one in lines) + "\n"
    caption = messages([lines[0], line("too long for messages: the whole of it is in the file")])[0]
    file = BufferedInputFile(text.encode("utf-8", "backslashreplace"), f"{name}.txt")
    await bot.send_document(chat_id, file, caption=caption, parse_mode=ParseMode.HTML, reply_markup=buttons)
