"""What goes wrong on the way to an answer, as one line in the chat: never a traceback, never a secret."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg
from aiogram import Bot
from aiogram.dispatcher.flags import get_flag
from aiogram.types import CallbackQuery, Message, TelegramObject
from redis.exceptions import RedisError

from tracequeue_worker.classify import failure
from tracequeue_worker.dead_letters.hidden import without_secrets
from tracequeue_worker.errors import WorkerError
from tracequeue_worker.printable import one_line
from tracequeue_worker.redis_client import redis_failure
from tracequeue_worker.telegram.access import private_chat
from tracequeue_worker.telegram.answers import acknowledge, send
from tracequeue_worker.telegram.arguments import WrongArgument
from tracequeue_worker.telegram.lines import line

ANSWER_SECONDS = 45.0
"""How long a command may read. Beyond, a server does not answer that does not refuse either."""
PATIENT: Final = "tracequeue_patient"
"""The flag of a handler that waits for more than servers."""
OUTAGES = (asyncpg.PostgresError, asyncpg.InterfaceError, RedisError, WorkerError, OSError)

log = logging.getLogger(__name__)

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


async def report_outages(handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
    """Runs around each handler of the admin commands. What is a mistake of the program goes its way."""
    try:
        if "trace_repo" not in data:
            raise WrongArgument('this bot has no traces to show: set dispatcher["trace_repo"] = TraceRepo(pool)')
        async with asyncio.timeout(None if get_flag(data, PATIENT) else ANSWER_SECONDS):
            return await handler(event, data)
    except WrongArgument as error:
        await _say(event, data["bot"], str(error))
    except OUTAGES as error:
        text = outage(error)
        log.warning("an admin command has no answer: %s", text)
        await _say(event, data["bot"], text)
    return None


def outage(error: BaseException) -> str:
    """Which server it is, what it says, and what a person does about it; on one line."""
    if isinstance(error, asyncpg.QueryCanceledError):
        return "PostgreSQL: that took too long: ask for less, a shorter period or one pipeline"
    if isinstance(error, WorkerError):
        text = str(error)
    elif isinstance(error, RedisError):
        text = str(redis_failure(error))
    elif isinstance(error, TimeoutError):
        text = "no answer in time: PostgreSQL, Redis or the way to Telegram is frozen or busy"
    else:
        text = f"PostgreSQL: {failure(error)}: check TRACEQUEUE_DATABASE_URL"
    return without_secrets(one_line(text))


async def _say(event: TelegramObject, bot: Bot, text: str) -> None:
    if isinstance(event, CallbackQuery):
        await acknowledge(event)
    if isinstance(event, Message | CallbackQuery):
        await send(bot, private_chat(event), [line("⚠️ ", text)])
