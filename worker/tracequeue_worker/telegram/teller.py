"""Sends alerts to admin chats: who cannot be reached now is tried again, who refuses is asked again after a while."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from aiogram import Bot
from aiogram.exceptions import (
    AiogramError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramRetryAfter,
)
from aiogram.types import LinkPreviewOptions

from tracequeue_worker.alerts.watchman import utc_now

SEND_SECONDS: Final = 10
REFUSED: Final = timedelta(minutes=5)
"""How long a chat that does not want the bot, or does not exist yet, is left alone."""
REFUSALS: Final = (TelegramForbiddenError, TelegramBadRequest, TelegramNotFound)

log = logging.getLogger(__name__)


class Teller:
    """Sends to chats. What does not arrive is the caller's to send again; who refuses is asked again after a while."""

    def __init__(self, bot: Bot, clock: Callable[[], datetime] = utc_now) -> None:
        self._bot = bot
        self._clock = clock
        self._not_before: dict[int, datetime] = {}
        self._moved: dict[int, int] = {}
        self._troubled: set[int] = set()

    async def tell(self, chat: int, html: str) -> bool:
        """Send HTML; whether Telegram took it. Never raises because of Telegram."""
        if chat in self._not_before and self._clock() < self._not_before[chat]:
            return False
        try:
            await self._send(self._moved.get(chat, chat), html)
        except TelegramMigrateToChat as error:
            self._moved[chat] = error.migrate_to_chat_id
            log.warning("admin chat %d is now %d: change the setting", chat, error.migrate_to_chat_id)
            return await self.tell(chat, html)
        except (AiogramError, OSError) as error:
            self._failed(chat, error)
            return False
        self._troubled.discard(chat)
        return True

    async def _send(self, chat: int, html: str) -> None:
        await self._bot.send_message(
            chat,
            html,
            parse_mode="HTML",
            link_preview_options=LinkPreviewOptions(is_disabled=True),
            request_timeout=SEND_SECONDS,
        )

    def _failed(self, chat: int, error: Exception) -> None:
        """Note when to try again; only the first failure in a row is logged."""
        pause = timedelta(0)
        if isinstance(error, TelegramRetryAfter):
            pause = timedelta(seconds=error.retry_after)
        elif isinstance(error, REFUSALS):
            pause = REFUSED
        self._not_before[chat] = self._clock() + pause
        if chat not in self._troubled:
            self._troubled.add(chat)
            reason = str(error).replace(self._bot.token, "…")
            log.warning("alerts do not reach admin chat %d, and are kept for it: %s", chat, reason)
