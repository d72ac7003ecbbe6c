"""A trace around each update, by three middlewares.

One stands outside of everything of aiogram's and opens the trace, so that an apology of an error handler belongs to it;
one stands inside of aiogram's handling of errors and sees what fails; one stands around each handler and knows which.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, TypeAlias, cast

from aiogram import BaseMiddleware, Bot, Dispatcher
from aiogram.dispatcher.event.bases import UNHANDLED, CancelHandler, SkipHandler
from aiogram.dispatcher.flags import get_flag
from aiogram.dispatcher.middlewares.error import ErrorsMiddleware
from aiogram.dispatcher.middlewares.manager import MiddlewareManager
from aiogram.dispatcher.middlewares.user_context import UserContextMiddleware
from aiogram.types import TelegramObject, Update
from aiogram.types.update import UpdateTypeLookupError

from tracequeue.automatic import AutomaticTrace, apart
from tracequeue.events import INT64, NAME_LENGTH
from tracequeue.integrations.aiogram.requests import Requests
from tracequeue.telegram import UPDATE_ID, UPDATE_TYPE

FLAG: Final = "trace"
"""`@router.message(..., flags={"trace": "support"})` names the pipeline; `False` leaves a handler untraced."""
CANCELLED_SECONDS: Final = 2.0
"""A handler that was cancelled may take so long to tidy up."""
TRACE: Final = "tracequeue_trace"
"""Where the inner middlewares find the trace of their update."""

logger = logging.getLogger("tracequeue")

Next: TypeAlias = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


class Updates(BaseMiddleware):
    """Opens a trace around an update, and knows which updates are being handled."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._running: Counter[asyncio.Task[Any]] = Counter()
        """How many updates a task handles: a handler may feed one itself."""

    def surround(self, dispatcher: Dispatcher) -> None:
        """Take the three places."""
        outer = dispatcher.update.outer_middleware
        others = _emptied(outer)
        outer.register(self)
        for one in others:
            outer.register(one)
            if isinstance(one, ErrorsMiddleware):
                outer.register(_record_errors)
        for name, observer in dispatcher.observers.items():
            if name not in ("update", "error"):
                others = _emptied(observer.middleware)
                for one in (_name_the_trace, *others):
                    observer.middleware.register(one)

    async def __call__(self, handler: Next, event: TelegramObject, data: dict[str, Any]) -> Any:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._running[task] += 1
        try:
            self._watch(data["bot"])
            return await _traced(handler, cast("Update", event), data)
        finally:
            self._running[task] -= 1
            self._running += Counter()

    def watch_bots(self, bots: Iterable[Bot]) -> None:
        """From the start, for traces that begin without an update."""
        for bot in bots:
            self._watch(bot)

    def _watch(self, bot: Bot) -> None:
        if not any(isinstance(one, Requests) for one in bot.session.middleware):
            bot.session.middleware(self._requests)

    async def finish(self, grace_seconds: float) -> None:
        """Wait for what is being handled, also for what comes meanwhile; cancel what takes too long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + grace_seconds
        while (running := self._handling()) and loop.time() < until:
            await asyncio.wait(running, timeout=until - loop.time())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=CANCELLED_SECONDS)
        if stubborn := self._handling():
            logger.warning("%d handlers go on though they were cancelled: their traces have no end", len(stubborn))

    def _handling(self) -> set[asyncio.Task[Any]]:
        return {task for task in self._running if not task.done()} - {asyncio.current_task()}


async def _traced(handler: Next, update: Update, data: dict[str, Any]) -> Any:
    done: CancelHandler | None = None
    result: Any = None
    with _trace_of(update) as trace:
        data[TRACE] = trace
        try:
            result = await handler(update, data)
        except CancelHandler as error:  # a handler's way to say that it is done
            done = error
        if result is UNHANDLED:
            trace.forget()
    if done is not None:
        raise done
    return result


def _trace_of(update: Update) -> AutomaticTrace:
    try:
        kind = update.event_type
    except UpdateTypeLookupError:
        kind = "update"
    about = UserContextMiddleware.resolve_event_context(update)
    user_id, chat_id = about.user_id, about.chat_id
    return AutomaticTrace(
        kind,
        telegram_id=user_id if user_id is not None and abs(user_id) < INT64 else None,
        session_id=None if chat_id is None else str(chat_id),
        metadata={UPDATE_TYPE: kind, UPDATE_ID: update.update_id},
    )


async def _record_errors(handler: Next, event: TelegramObject, data: dict[str, Any]) -> Any:
    """Whatever fails inside of aiogram's handling of errors: handlers, filters, other middlewares."""
    try:
        return await handler(event, data)
    except (SkipHandler, CancelHandler):
        raise
    except Exception as error:
        data[TRACE].record_error(error)
        raise


async def _name_the_trace(handler: Next, event: TelegramObject, data: dict[str, Any]) -> Any:
    """Around each handler whose filters let the event through."""
    trace: AutomaticTrace | None = data.get(TRACE)
    if trace is None:
        return await handler(event, data)
    flag = get_flag(data, FLAG)
    if flag is False:
        trace.forget()
        with apart():
            return await handler(event, data)
    name = flag if isinstance(flag, str) and flag else _name_of(data["handler"].callback)
    trace.name(name[:NAME_LENGTH])
    return await handler(event, data)


def _name_of(callback: Any) -> str:
    """A function's name; that of a handler of a scene with the scene's."""
    while isinstance(callback, partial):
        callback = callback.func
    scene, inner = getattr(callback, "scene", None), getattr(callback, "handler", None)
    if isinstance(scene, type) and inner is not None:
        return f"{scene.__name__}.{_name_of(getattr(inner, 'callback', inner))}"
    return str(getattr(callback, "__name__", type(callback).__name__))


def _emptied(manager: MiddlewareManager) -> list[Any]:
    """Takes all middlewares out, and returns them in their order."""
    others = list(manager)
    for one in others:
        manager.unregister(one)
    return others
