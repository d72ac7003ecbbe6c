"""Claude, through Anthropic's SDK, each call a span with the facts of the model."""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx2
from anthropic import APIConnectionError, APIStatusError, APITimeoutError, AsyncAnthropic, Timeout
from anthropic.types import Message

from examples.bot.llm.errors import ProviderUnavailable, failure
from tracequeue import traced_span
from tracequeue.gen_ai import record_first_chunk, record_request, record_response

MODEL: Final = "claude-haiku-5-5"
CONNECT_SECONDS: Final = 5.0
STATUS_OF_TYPE: Final = {"rate_limit_error": 429, "api_error": 500, "timeout_error": 504, "overloaded_error": 529}
"""An error in the midst of a stream comes after the HTTP status 200; its type says which status it would have had."""


class Claude:
    """Answers prompts in text. `base_url` is Anthropic's unless given; `timeout` are seconds without a byte.

    Failures are `ProviderUnavailable` or `RequestRefused`. The SDK's own retries are off: it would wait for a provider
    that is overloaded while another one could answer, and its tries would be hidden in one span.
    """

    name = "claude"

    def __init__(
        self,
        api_key: str,
        base_url: str | None = None,
        model: str = MODEL,
        *,
        max_tokens: int = 1024,
        timeout: float = 60.0,
    ) -> None:
        self.model, self.max_tokens = model, max_tokens
        patience = Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
        self._client = AsyncAnthropic(api_key=api_key, base_url=base_url, max_retries=0, timeout=patience)

    @traced_span("llm:claude", kind="llm")
    async def complete(self, prompt: str, *, system: str = "") -> str:
        """The whole answer."""
        record_request("anthropic", self.model)
        with _own_errors():
            message = await self._client.messages.create(**self._request(prompt, system))
        _record(message)
        return "".join(block.text for block in message.content if block.type == "text")

    @traced_span("llm:claude", kind="llm")
    async def stream(self, prompt: str, *, system: str = "") -> AsyncGenerator[str, None]:
        """The answer in chunks as they come. What is known of it when it ends early is recorded too."""
        record_request("anthropic", self.model)
        asked, begun, waiting = time.perf_counter(), False, True
        with _own_errors():
            async with self._client.messages.stream(**self._request(prompt, system)) as events:
                try:
                    async for event in events:
                        begun = begun or event.type == "message_start"
                        if event.type == "text":
                            if waiting:
                                record_first_chunk(time.perf_counter() - asked)
                                waiting = False
                            yield event.text
                finally:
                    if begun:
                        _record(events.current_message_snapshot)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _request(self, prompt: str, system: str) -> dict[str, Any]:
        """The system prompt is marked for the cache: where it is too short for that, the mark costs nothing."""
        request: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "messages": [{"role": "user", "content": prompt}],
        }
        if system:
            request["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
        return request


def _record(message: Message) -> None:
    usage = message.usage
    read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    record_response(
        model=message.model,
        input_tokens=usage.input_tokens + read + written,
        output_tokens=usage.output_tokens,
        cache_read_tokens=read,
        cache_write_tokens=written,
        finish_reasons=[message.stop_reason] if message.stop_reason else [],
    )


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except APIStatusError as error:
        in_stream = error.status_code < 400
        status = STATUS_OF_TYPE.get(error.type or "", 500) if in_stream else error.status_code
        reason = f"{error.type}: {error.api_message}" if error.type else error.message
        raise failure(Claude.name, status, reason) from error
    except APITimeoutError as error:
        raise ProviderUnavailable(Claude.name, "gave no answer in time") from error
    except (APIConnectionError, httpx2.TransportError) as error:
        raise ProviderUnavailable(Claude.name, f"cannot be reached: {error.__cause__ or error}") from error
