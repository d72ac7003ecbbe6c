"""`ProgressUpdater`: shows how far a pipeline is in one message, which becomes the answer."""

import asyncio
import logging
from contextlib import suppress
from typing import Self

from aiogram.exceptions import AiogramError, TelegramBadRequest, TelegramRetryAfter
from aiogram.types import InaccessibleMessage, InlineKeyboardMarkup, Message

from examples.bot.delivery import patiently
from examples.bot.long_texts import beginning, pieces

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""Between two edits: Telegram slows down bots that send more often than about once a second to a chat."""
FAREWELL_SECONDS = 5.0
"""How long the last word to somebody may take while the bot is being stopped."""
BEGINNING = "One moment …"
APOLOGY = "I am sorry, that did not work. Please try again in a minute."
INTERRUPTED = "I am sorry, I am being restarted. Please ask me again in a minute."


class ProgressUpdater:
    """`async with ProgressUpdater(message) as progress:`, then `progress.show(text)` as often as you like.

    What cannot be shown on the way is left out: a pipeline never fails, and never waits, because of it. The answer is
    delivered, or `answer` raises. Without an answer the person is told that it did not work, and not why.
    """

    def __init__(self, asked: Message | InaccessibleMessage, pause: float = PAUSE_SECONDS) -> None:
        self._asked = asked
        self._pause = pause
        self._message: Message | None = None
        self._wanted = self._shown = BEGINNING
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._answered = False

    def __repr__(self) -> str:
        return f"ProgressUpdater(chat {self._asked.chat.id})"

    async def __aenter__(self) -> Self:
        try:
            self._message = await self._asked.answer(BEGINNING)
        except AiogramError as error:
            logger.warning("no progress is shown in chat %d: %s", self._asked.chat.id, error)
        self._showing = asyncio.create_task(self._keep_showing(), name=f"progress in chat {self._asked.chat.id}")
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, where: object) -> None:
        interrupted = isinstance(error, asyncio.CancelledError)
        try:
            async with asyncio.timeout(FAREWELL_SECONDS if interrupted else None):
                await self._stop_showing()
                if error is not None and not self._answered:
                    await self._put(INTERRUPTED if interrupted else APOLOGY)
        except (AiogramError, TimeoutError) as trouble:
            logger.warning("no apology reached chat %d: %s", self._asked.chat.id, trouble)
        finally:
            self._showing.cancel()

    def show(self, text: str) -> None:
        """Show this soon, instead of what was shown before."""
        self._wanted = beginning(text.strip()) or self._wanted
        self._changed.set()

    async def answer(self, text: str, keyboard: InlineKeyboardMarkup | None = None) -> None:
        """Put the answer in the message's place; a long one goes on in further messages, the last has the keyboard."""
        await self._stop_showing()
        *first, last = pieces(text)
        for piece in first:
            await self._put(piece)
            self._message = None
        await self._put(last, keyboard)
        self._answered = True

    async def _put(self, text: str, keyboard: InlineKeyboardMarkup | None = None) -> None:
        """Edit the message, or send one where there is none, or none any more. Raises `AiogramError`."""
        if self._message is not None:
            message = self._message
            try:
                await patiently(lambda: message.edit_text(text, reply_markup=keyboard))
            except TelegramBadRequest as refusal:
                if _is_shown_already(refusal):
                    return
            else:
                return
        self._message = await patiently(lambda: self._asked.answer(text, reply_markup=keyboard))

    async def _stop_showing(self) -> None:
        """Wait for an edit that is under way: it must not arrive after the answer."""
        self._over.set()
        self._changed.set()
        await asyncio.wait([self._showing])

    async def _keep_showing(self) -> None:
        pause = self._pause
        while not await self._is_over_within(pause):
            await self._changed.wait()
            self._changed.clear()
            pause = await self._show_now()

    async def _is_over_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            return await asyncio.wait_for(self._over.wait(), seconds)
        return False

    async def _show_now(self) -> float:
        """Edit the message if there is something new. Gives the seconds until the next edit."""
        if self._message is None or self._wanted == self._shown:
            return self._pause
        wanted = self._wanted
        try:
            await self._message.edit_text(wanted)
        except TelegramRetryAfter as busy:
            self._changed.set()
            return float(busy.retry_after)
        except AiogramError as error:
            if not _is_shown_already(error):
                logger.info("progress in chat %d is not shown: %s", self._asked.chat.id, error)
        self._shown = wanted
        return self._pause


def _is_shown_already(error: AiogramError) -> bool:
    return isinstance(error, TelegramBadRequest) and "message is not modified" in error.message
