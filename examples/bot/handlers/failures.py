"""What failed while somebody was answered: a line in the log. `ProgressUpdater` has apologised already."""

import logging

from aiogram import Router
from aiogram.exceptions import AiogramError
from aiogram.types import ErrorEvent

from examples.bot.llm.errors import NoProviderLeft, ProviderError

EXPECTED = (ProviderError, NoProviderLeft, AiogramError)
"""What services do now and then; anything else is a mistake of ours, and its traceback tells where."""

logger = logging.getLogger(__name__)


def router() -> Router:
    failures = Router(name="failures")
    failures.errors.register(on_failure)
    return failures


async def on_failure(event: ErrorEvent) -> None:
    error = event.exception
    traceback = None if isinstance(error, EXPECTED) else error
    logger.error("update %d: %s: %s", event.update.update_id, type(error).__name__, error, exc_info=traceback)
