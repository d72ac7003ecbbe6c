"""A stand-in for OpenRouter's chat API: `POST /api/v1/chat/completions`, whole and streamed.

Sources: https://openrouter.ai/docs/api-reference/overview, and there /docs/api-reference/streaming,
/docs/api-reference/errors and /docs/features/prompt-caching. It knows text; of tools and images nothing, and it names
no cost. Like OpenAI's models it caches by itself, but only the system prompt, of any length, for as long as it runs.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from examples.bot.stand_ins.exchange import Question, Refused, Reply
from examples.bot.stand_ins.provider import ProviderStandIn, bearer

CREATED: Final = 1_767_225_600
"""2026-01-01T00:00:00Z: the time that every answer names, in seconds."""
KEEP_ALIVE: Final = b": OPENROUTER PROCESSING\n\n"
DONE: Final = b"data: [DONE]\n\n"
ERROR_TYPES: Final[Mapping[int, str]] = {
    408: "timeout",
    429: "rate_limit_exceeded",
    500: "server",
    502: "provider_unavailable",
    503: "provider_unavailable",
    529: "provider_overloaded",
}


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content)


class ChatRequest(BaseModel):
    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool = False
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)


class OpenRouterStandIn(ProviderStandIn):
    """Answers like OpenRouter's API; see `ProviderStandIn`."""

    path = "/api/v1/chat/completions"
    base_path = "/api/v1"
    whole_answers_break = True

    def _given_key(self, request: web.Request) -> str | None:
        return bearer(request)

    def _question(self, request: web.Request, body: object) -> Question:
        try:
            asked = ChatRequest.model_validate(body)
        except ValidationError as error:
            first = error.errors()[0]
            raise Refused(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if "/" not in asked.model:
            raise Refused(400, f"{asked.model} is not a valid model ID")
        system = "\n".join(message.text for message in asked.messages if message.role in ("system", "developer"))
        spoken = [message.text for message in asked.messages if message.role in ("user", "assistant")]
        return Question(
            model=asked.model,
            system=system,
            prompt=spoken[-1] if spoken else "",
            prefix=system,
            rest="".join(spoken),
            max_tokens=asked.max_completion_tokens or asked.max_tokens,
            streamed=asked.stream,
        )

    def _headers(self, number: int) -> dict[str, str]:
        return {"X-Generation-Id": f"gen-{number:020d}"}

    def _error_body(self, status: int, message: str, number: int) -> dict[str, Any]:
        return {"error": {"code": status, "message": message}}

    def _whole(self, reply: Reply) -> dict[str, Any]:
        message = {"role": "assistant", "content": reply.text}
        choice = {"index": 0, "message": message, "finish_reason": _finish_reason(reply)}
        usage = {"system_fingerprint": None, "usage": _usage(reply)}
        return _completion(reply, "chat.completion") | {"choices": [choice]} | usage

    def _opening(self, reply: Reply) -> bytes:
        return KEEP_ALIVE + _event(reply, {"role": "assistant", "content": ""})

    def _chunk(self, reply: Reply, text: str) -> bytes:
        return KEEP_ALIVE + _event(reply, {"role": "assistant", "content": text})

    def _closing(self, reply: Reply) -> bytes:
        last = {"role": "assistant", "content": ""}
        return _event(reply, last, _finish_reason(reply)) + _data(_usage_chunk(reply)) + DONE

    def _broken(self, reply: Reply, status: int) -> bytes:
        error = {
            "code": status,
            "message": "scripted to fail",
            "metadata": {"error_type": ERROR_TYPES.get(status, "unmapped")},
        }
        return _event(reply, {"content": ""}, "error", error=error) + DONE


def _completion(reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": f"gen-{reply.number:020d}",
        "object": kind,
        "created": CREATED,
        "model": reply.model,
        "provider": "Stand-in",
    }


def _usage(reply: Reply) -> dict[str, Any]:
    """Tokens as OpenAI counts them: those from the cache are part of the prompt's, and writing to it is no event."""
    prompt = reply.fresh + reply.read + reply.written
    return {
        "prompt_tokens": prompt,
        "completion_tokens": reply.output,
        "total_tokens": prompt + reply.output,
        "prompt_tokens_details": {"cached_tokens": reply.read},
    }


def _usage_chunk(reply: Reply) -> dict[str, Any]:
    return _completion(reply, "chat.completion.chunk") | {"choices": [], "usage": _usage(reply)}


def _finish_reason(reply: Reply) -> str:
    return "length" if reply.cut else "stop"


def _event(reply: Reply, delta: dict[str, str], finish_reason: str | None = None, **facts: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _data(_completion(reply, "chat.completion.chunk") | {"choices": [choice]} | facts)


def _data(facts: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(facts)
