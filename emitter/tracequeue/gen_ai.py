"""Facts about a call to a language model, under the names of OpenTelemetry's conventions for generative AI.

https://github.com/open-telemetry/semantic-conventions-genai: tokens from a cache are part of the input tokens.
"""

from collections.abc import Sequence
from typing import Final

from tracequeue.span import current_span

PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"


def record_request(provider: str, model: str) -> None:
    """Say on the current span whom it asks. Before the call: then a failed one says it too."""
    current_span().set_attributes({PROVIDER: provider, REQUEST_MODEL: model})


def record_first_chunk(seconds: float) -> None:
    """Say on the current span how long after the request the first chunk of a stream came."""
    current_span().set_attribute(TIME_TO_FIRST_CHUNK, seconds)


def record_response(
    *,
    model: str,
    input_tokens: int,
    output_tokens: int,
    cache_read_tokens: int = 0,
    cache_write_tokens: int = 0,
    finish_reasons: Sequence[str] = (),
) -> None:
    """Say on the current span what answered, and what it used.

    `input_tokens` are all of them, with those that were read from a cache or written to one. A provider may count them
    apart (Anthropic does): then add them up.
    """
    facts: dict[str, object] = {
        RESPONSE_MODEL: model,
        INPUT_TOKENS: input_tokens,
        OUTPUT_TOKENS: output_tokens,
        CACHE_READ_TOKENS: cache_read_tokens or None,
        CACHE_WRITE_TOKENS: cache_write_tokens or None,
        FINISH_REASONS: list(finish_reasons) or None,
    }
    current_span().set_attributes({name: value for name, value in facts.items() if value is not None})
