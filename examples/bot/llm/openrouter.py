"""Many vendors' models through OpenRouter's SDK, each call a span with the facts of the model."""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
from openrouter import OpenRouter as Client
from openrouter.components import ChatStreamChunk, ChatUsage
from openrouter.errors import NoResponseError, OpenRouterError

from examples.bot.llm.errors import ProviderUnavailable, failure
from tracequeue import traced_span
from tracequeue.gen_ai import record_first_chunk, record_request, record_response

MODEL: Final = "openai/gpt-4o-mini"
CONNECT_SECONDS: Final = 5.0


class OpenRouter:
    """Answers prompts in text. `base_url` is OpenRouter's unless given; `timeout` are seconds without a byte.

    Failures are `ProviderUnavailable` or `RequestRefused`. The SDK's own retries are off: by default it would try a
    provider that answers 5xx for an hour, while another one could answer, and hide its tries in one span.
    """

    name = "openrouter"

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
        self._connections = httpx.AsyncClient(timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)))
        self._client = Client(api_key=api_key, server_url=base_url, async_client=self._connections, retry_config=None)

    @traced_span("llm:openrouter", kind="llm")
    async def complete(self, prompt: str, *, system: str = "") -> str:
        """The whole answer."""
        record_request("openrouter", self.model)
        with _own_errors():
            result = await self._client.chat.send_async(**self._request(prompt, system), stream=False)
        choice = result.choices[0]
        _record(result.model, result.usage, choice.finish_reason)
        return choice.message.content if isinstance(choice.message.content, str) else ""

    @traced_span("llm:openrouter", kind="llm")
    async def stream(self, prompt: str, *, system: str = "") -> AsyncGenerator[str, None]:
        """The answer in chunks as they come. What it used is said after the last one only, and recorded then."""
        record_request("openrouter", self.model)
        asked, waiting, finish_reason = time.perf_counter(), True, None
        with _own_errors():
            events = await self._client.chat.send_async(**self._request(prompt, system), stream=True)
            async with events:
                async for event in events:
                    text, reason = _read(event)
                    finish_reason = reason or finish_reason
                    if text:
                        if waiting:
                            record_first_chunk(time.perf_counter() - asked)
                            waiting = False
                        yield text
                    if event.usage:
                        _record(event.model, event.usage, finish_reason)

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.aclose()

    def _request(self, prompt: str, system: str) -> dict[str, Any]:
        messages = [{"role": "system", "content": system}] if system else []
        return {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "messages": [*messages, {"role": "user", "content": prompt}],
        }


def _read(event: ChatStreamChunk) -> tuple[str, str | None]:
    """The text of a chunk, and why the answer ends if it does. An error comes as a chunk too."""
    if event.error is not None:
        raise failure(OpenRouter.name, event.error.code, event.error.message)
    if not event.choices:
        return "", None
    choice = event.choices[0]
    return choice.delta.content or "", choice.finish_reason


def _record(model: str, usage: ChatUsage | None, finish_reason: str | None) -> None:
    if usage is None:
        return
    details = usage.prompt_tokens_details
    record_response(
        model=model,
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cache_read_tokens=(details and details.cached_tokens) or 0,
        cache_write_tokens=(details and details.cache_write_tokens) or 0,
        finish_reasons=[finish_reason] if finish_reason else [],
    )


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except OpenRouterError as error:
        if error.status_code >= 400:
            raise failure(OpenRouter.name, error.status_code, error.message) from error
        raise ProviderUnavailable(OpenRouter.name, f"answered what is no answer: {error.body}") from error
    except httpx.TimeoutException as error:
        raise ProviderUnavailable(OpenRouter.name, "gave no answer in time") from error
    except (httpx.TransportError, NoResponseError) as error:
        raise ProviderUnavailable(OpenRouter.name, f"cannot be reached: {error}") from error
