"""A stand-in for Anthropic's Messages API: `POST /v1/messages`, whole and streamed.

Sources: https://platform.claude.com/docs/en/api/messages and /docs/en/api/errors there, and
/docs/en/build-with-claude/streaming and /docs/en/build-with-claude/prompt-caching. It knows text; of the rest of the
API (tools, images, thinking) nothing. Unlike the real one it caches prompts of any length, for as long as it runs.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from examples.bot.stand_ins.exchange import Question, Refused, Reply
from examples.bot.stand_ins.provider import ProviderStandIn, bearer

ERROR_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class CacheControl(BaseModel):
    type: Literal["ephemeral"]


class TextBlock(BaseModel):
    type: Literal["text"]
    text: str = Field(min_length=1)
    cache_control: CacheControl | None = None


class Message(BaseModel):
    role: Literal["user", "assistant"]
    content: str | list[TextBlock]


class MessagesRequest(BaseModel):
    model: str
    max_tokens: int = Field(ge=1)
    messages: list[Message] = Field(min_length=1)
    system: str | list[TextBlock] = ""
    stream: bool = False


class AnthropicStandIn(ProviderStandIn):
    """Answers like Anthropic's API; see `ProviderStandIn`."""

    path = "/v1/messages"
    base_path = ""

    def _given_key(self, request: web.Request) -> str | None:
        return request.headers.get("x-api-key") or bearer(request)

    def _question(self, request: web.Request, body: object) -> Question:
        if "anthropic-version" not in request.headers:
            raise Refused(400, "anthropic-version: header is required")
        try:
            asked = MessagesRequest.model_validate(body)
        except ValidationError as error:
            first = error.errors()[0]
            raise Refused(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if not asked.model.startswith("claude-"):
            raise Refused(404, f"model: {asked.model}")
        prefix, rest = _parted(
            [*_blocks(asked.system), *(block for one in asked.messages for block in _blocks(one.content))]
        )
        return Question(
            model=asked.model,
            system=_text(asked.system),
            prompt=_text(asked.messages[-1].content),
            prefix=prefix,
            rest=rest,
            max_tokens=asked.max_tokens,
            streamed=asked.stream,
        )

    def _headers(self, number: int) -> dict[str, str]:
        return {"request-id": f"req_{number:024d}"}

    def _error_body(self, status: int, message: str, number: int) -> dict[str, Any]:
        return {**_error(status, message), "request_id": f"req_{number:024d}"}

    def _whole(self, reply: Reply) -> dict[str, Any]:
        content = [{"type": "text", "text": reply.text}]
        return _message(reply) | {
            "content": content,
            "stop_reason": _stop_reason(reply),
            "usage": _usage(reply, reply.output),
        }

    def _opening(self, reply: Reply) -> bytes:
        block = {"type": "text", "text": ""}
        return (
            _event("message_start", message=_message(reply))
            + _event("content_block_start", index=0, content_block=block)
            + _event("ping")
        )

    def _chunk(self, reply: Reply, text: str) -> bytes:
        return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    def _closing(self, reply: Reply) -> bytes:
        delta = {"stop_reason": _stop_reason(reply), "stop_sequence": None}
        return (
            _event("content_block_stop", index=0)
            + _event("message_delta", delta=delta, usage=_usage(reply, reply.output))
            + _event("message_stop")
        )

    def _broken(self, reply: Reply, status: int) -> bytes:
        return _event("error", error=_error(status, "scripted to fail")["error"])


def _message(reply: Reply) -> dict[str, Any]:
    """A message as a stream begins it: without content, and with the one token that is counted before any is out."""
    return {
        "id": f"msg_{reply.number:024d}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(reply, 1),
    }


def _usage(reply: Reply, output: int) -> dict[str, int]:
    return {
        "input_tokens": reply.fresh,
        "cache_creation_input_tokens": reply.written,
        "cache_read_input_tokens": reply.read,
        "output_tokens": output,
    }


def _stop_reason(reply: Reply) -> str:
    return "max_tokens" if reply.cut else "end_turn"


def _error(status: int, message: str) -> dict[str, Any]:
    kind = ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def _event(kind: str, **facts: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **facts}))


def _blocks(content: str | list[TextBlock]) -> list[TextBlock]:
    if isinstance(content, list):
        return content
    return [TextBlock(type="text", text=content)] if content else []


def _text(content: str | list[TextBlock]) -> str:
    return "\n".join(block.text for block in _blocks(content))


def _parted(blocks: list[TextBlock]) -> tuple[str, str]:
    """What stands up to the last block that is marked for the cache, and what follows."""
    marked = max((place for place, block in enumerate(blocks, 1) if block.cache_control), default=0)
    return "".join(block.text for block in blocks[:marked]), "".join(block.text for block in blocks[marked:])
