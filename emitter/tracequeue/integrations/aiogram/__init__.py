"""aiogram 3: a trace per handled update, with one line: `install(dispatcher)`."""

from typing import Final

from tracequeue.collector import TraceCollector, get_collector, init_collector

try:
    from aiogram import Dispatcher

    from tracequeue.integrations.aiogram.lifecycle import Lifecycle
    from tracequeue.integrations.aiogram.requests import Requests
    from tracequeue.integrations.aiogram.updates import Updates
except ModuleNotFoundError as missing:
    if missing.name != "aiogram":
        raise
    raise ImportError("tracequeue.integrations.aiogram needs aiogram: pip install 'tracequeue[aiogram]'") from missing

GRACE_SECONDS: Final = 10.0

__all__ = ["install"]


def install(dispatcher: Dispatcher, *, api_calls: bool = False, grace_seconds: float = GRACE_SECONDS) -> TraceCollector:
    """Trace every handled update, and start and stop the process's collector with the dispatcher.

    The pipeline's name is the flag `trace` of the handler, or the handler's own name; the Telegram id is the user's,
    the session the chat's id. A `TraceContext` in a handler takes the place of the automatic trace. What no handler
    takes leaves nothing. The messages that the bot sends or edits in a trace are noted in its metadata. With
    `api_calls` each call of the Bot API in a trace is a span.

    At shutdown, handlers that still run get `grace_seconds` to finish and are cancelled then, before the collector is
    stopped: so their traces have an end. Several dispatchers share the collector, and the last one stops it. Raises
    `ValueError` if it was installed in this dispatcher before.
    """
    if any(isinstance(one, Updates) for one in dispatcher.update.outer_middleware):
        raise ValueError("tracequeue is installed in this dispatcher already")
    collector = get_collector() or init_collector()
    updates = Updates(Requests(api_calls))
    updates.surround(dispatcher)
    Lifecycle(dispatcher, collector, updates, grace_seconds).follow()
    return collector
