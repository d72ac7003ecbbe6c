"""Calls of the Bot API: which messages they made, and spans of them if that is wanted."""

from typing import Any, Final

from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.methods import Response, TelegramMethod
from aiogram.types import Message, MessageId

from tracequeue.current import current
from tracequeue.span import Span, span
from tracequeue.telegram import MESSAGES, message_key
from tracequeue.trace import Trace

MOST_MESSAGES: Final = 100
"""Noted of one trace."""


class Requests(BaseRequestMiddleware):
    """Notes which messages the calls of a trace made, and makes spans of the calls if that is wanted."""

    def __init__(self, makes_spans: bool) -> None:
        self._makes_spans = makes_spans

    async def __call__(
        self, make_request: NextRequestMiddlewareType[Any], bot: Bot, method: TelegramMethod[Any]
    ) -> Response[Any]:
        if not self._makes_spans:
            response = await make_request(bot, method)
            _note(bot, method, response)
            return response
        with span(f"telegram:{method.__api_method__}", kind="client") as call:
            if isinstance(call, Span) and call.trace.captures_payload:
                call.set_input(method.model_dump(exclude_none=True, exclude_defaults=True, warnings=False))
            response = await make_request(bot, method)
            call.set_output(_note(bot, method, response))
        return response


def _note(bot: Bot, method: TelegramMethod[Any], response: Any) -> list[str] | bool:
    """Note the messages that a call sent or edited. Returns them; whether it worked where there are none."""
    sent = [message_key(bot.id, *message) for message in _messages(method, response)]
    scope = current.get()
    if sent and isinstance(scope, (Trace, Span)):
        noted = scope.trace.metadata.setdefault(MESSAGES, [])
        if isinstance(noted, list):
            noted += [key for key in sent if key not in noted][: MOST_MESSAGES - len(noted)]
    return sent or bool(response)


def _messages(method: TelegramMethod[Any], result: Any) -> list[tuple[int, int]]:
    """Chats and messages of what a call returned."""
    if isinstance(result, Message):
        return [(result.chat.id, result.message_id)]
    chat_id = getattr(method, "chat_id", None)
    if isinstance(result, MessageId) and isinstance(chat_id, int):
        return [(chat_id, result.message_id)]
    if isinstance(result, list):
        return [key for one in result for key in _messages(method, one)]
    return []
