"""aiogram 3: a trace per handled update, with one line: `install(dispatcher)`.

aiogram calls middlewares of updates outside of its filters and error handlers, and middlewares of handlers inside. The
first opens the trace, so that an apology of an error handler belongs to it; the second knows which handler it is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias, cast

from tracequeue.automatic import AutomaticTrace, apart
from tracequeue.collector import TraceCollector, get_collector, init_collector
from tracequeue.current import current
from tracequeue.span import Span, span
from tracequeue.telegram import MESSAGES, UPDATE_ID, UPDATE_TYPE, message_key
from tracequeue.trace import Trace

try:
    from aiogram import BaseMiddleware, Bot, Dispatcher
    from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
    from aiogram.dispatcher.event.bases import UNHANDLED, CancelHandler, SkipHandler
    from aiogram.dispatcher.flags import get_flag
    from aiogram.dispatcher.middlewares.user_context import UserContextMiddleware
    from aiogram.methods import Response, TelegramMethod
    from aiogram.types import Message, MessageId, TelegramObject, Update
    from aiogram.types.update import UpdateTypeLookupError
except ModuleNotFoundError as missing:
    if missing.name != "aiogram":
        raise
    raise ImportError("tracequeue.integrations.aiogram needs aiogram: pip install 'tracequeue[aiogram]'") from missing

FLAG: Final = "trace"
"""`@router.message(..., flags={"trace": "support"})` names the pipeline; `False` leaves a handler untraced."""
GRACE_SECONDS: Final = 10.0
MOST_MESSAGES: Final = 100
"""Noted of one trace."""

Next: TypeAlias = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


def install(
    dispatcher: Dispatcher,
    collector: TraceCollector | None = None,
    *,
    api_calls: bool = False,
    grace_seconds: float = GRACE_SECONDS,
) -> TraceCollector:
    """Trace every handled update, and start and stop the collector with the dispatcher.

    The pipeline's name is the flag `trace` of the handler, or the handler's own name; the Telegram id is the user's,
    the session the chat's id. A `TraceContext` in a handler takes the place of the automatic trace. What no handler
    takes leaves nothing. The messages that the bot sends or edits in a trace are noted in its metadata. With
    `api_calls` each call of the Bot API in a trace is a span.

    At shutdown, handlers that still run get `grace_seconds` to finish and are cancelled then, before the collector is
    stopped: so their traces have an end. Raises `ValueError` if it was installed in this dispatcher before.
    """
    if any(isinstance(one, _Updates) for one in dispatcher.update.outer_middleware):
        raise ValueError("tracequeue is installed in this dispatcher already")
    started = collector or get_collector() or init_collector()
    updates = _Updates(_Requests(api_calls))
    _put_first(dispatcher, updates)
    for name, observer in dispatcher.observers.items():
        if name not in ("update", "error"):
            observer.middleware(_name_the_trace)
    dispatcher.startup.register(started.start)
    dispatcher.startup.register(updates.watch_bots)
    dispatcher.shutdown.register(partial(updates.finish, grace_seconds))
    # The first of all: what handlers use, the storage of states above all, is closed by others.
    dispatcher.shutdown.handlers.insert(0, dispatcher.shutdown.handlers.pop())
    dispatcher.shutdown.register(started.stop)
    return started


def _put_first(dispatcher: Dispatcher, updates: "_Updates") -> None:
    """Outside of aiogram's own middlewares, of which the first calls the error handlers."""
    manager = dispatcher.update.outer_middleware
    others = list(manager)
    for one in others:
        manager.unregister(one)
    manager.register(updates)
    for one in others:
        manager.register(one)


class _Updates(BaseMiddleware):
    """Opens a trace around an update, and leaves nothing of it if nobody handles it."""

    def __init__(self, requests: "_Requests") -> None:
        self._requests = requests
        self._running: set[asyncio.Task[Any]] = set()

    async def __call__(self, handler: Next, event: TelegramObject, data: dict[str, Any]) -> Any:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._running.add(task)
        try:
            self._watch(data["bot"])
            return await _traced(handler, cast("Update", event), data)
        finally:
            self._running.discard(task)

    async def watch_bots(self, **data: Any) -> None:
        """At startup, for traces that begin without an update."""
        for bot in data.get("bots") or filter(None, [data.get("bot")]):
            self._watch(bot)

    def _watch(self, bot: Bot) -> None:
        if self._requests not in bot.session.middleware:
            bot.session.middleware(self._requests)

    async def finish(self, grace_seconds: float) -> None:
        """Wait for what is being handled, and cancel what takes too long."""
        running = self._running - {asyncio.current_task()}
        if running:
            _, late = await asyncio.wait(running, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


_TRACE: Final = "tracequeue_trace"


async def _traced(handler: Next, update: Update, data: dict[str, Any]) -> Any:
    done: CancelHandler | None = None
    result: Any = None
    with _trace_of(update) as trace:
        data[_TRACE] = trace
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
    return AutomaticTrace(
        kind,
        telegram_id=about.user_id,
        session_id=None if about.chat_id is None else str(about.chat_id),
        metadata={UPDATE_TYPE: kind, UPDATE_ID: update.update_id},
    )


async def _name_the_trace(handler: Next, event: TelegramObject, data: dict[str, Any]) -> Any:
    """Around each handler whose filters let the event through."""
    trace: AutomaticTrace | None = data.get(_TRACE)
    if trace is None:
        return await handler(event, data)
    flag = get_flag(data, FLAG)
    if flag is False:
        trace.forget()
        with apart():
            return await handler(event, data)
    trace.rename(flag if isinstance(flag, str) and flag else _name_of(data["handler"].callback))
    try:
        return await handler(event, data)
    except (SkipHandler, CancelHandler):
        raise
    except Exception as error:
        trace.record_error(error)
        raise


def _name_of(callback: Any) -> str:
    while isinstance(callback, partial):
        callback = callback.func
    return str(getattr(callback, "__name__", type(callback).__name__))


class _Requests(BaseRequestMiddleware):
    """Notes which messages the calls of a trace made, and makes spans of the calls if that is wanted."""

    def __init__(self, makes_spans: bool) -> None:
        self._makes_spans = makes_spans

    async def __call__(
        self, make_request: NextRequestMiddlewareType[Any], bot: Bot, method: TelegramMethod[Any]
    ) -> Response[Any]:
        if not self._makes_spans:
            response = await make_request(bot, method)
            _note(method, response)
            return response
        with span(f"telegram:{method.__api_method__}", kind="client") as call:
            call.set_input(method.model_dump(exclude_none=True, exclude_defaults=True, warnings=False))
            response = await make_request(bot, method)
            call.set_output(_note(method, response))
        return response


def _note(method: TelegramMethod[Any], response: Any) -> list[str] | bool:
    """Note the messages that a call sent or edited. Returns them; whether it worked where there are none."""
    sent = _messages(method, response)
    scope = current.get()
    if sent and isinstance(scope, (Trace, Span)):
        noted = scope.trace.metadata.setdefault(MESSAGES, [])
        if isinstance(noted, list):
            noted += [key for key in sent if key not in noted][: MOST_MESSAGES - len(noted)]
    return sent or bool(response)


def _messages(method: TelegramMethod[Any], result: Any) -> list[str]:
    if isinstance(result, Message):
        return [message_key(result.chat.id, result.message_id)]
    chat_id = getattr(method, "chat_id", None)
    if isinstance(result, MessageId) and isinstance(chat_id, int):
        return [message_key(chat_id, result.message_id)]
    if isinstance(result, list):
        return [key for one in result for key in _messages(method, one)]
    return []
