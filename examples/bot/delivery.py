"""What must reach Telegram is tried again when Telegram is busy, unwell or away for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiogram.exceptions import TelegramNetworkError, TelegramRetryAfter, TelegramServerError

Result = TypeVar("Result")

ATTEMPTS = 3
LONGEST_SECONDS = 60.0
"""Whoever has waited longer than this does not expect an answer any more."""
PAUSE_SECONDS = 1.0


async def patiently(call: Callable[[], Awaitable[Result]]) -> Result:
    """The call's result, after a few attempts. Raises what the last one raised.

    A message whose receipt was lost on the way is sent twice: better than never.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await call()
        except TelegramRetryAfter as busy:
            if busy.retry_after > LONGEST_SECONDS:
                raise
            await asyncio.sleep(busy.retry_after)
        except (TelegramServerError, TelegramNetworkError):
            await asyncio.sleep(PAUSE_SECONDS)
    return await call()
