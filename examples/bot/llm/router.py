"""Asks the providers in order until one answers."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from examples.bot.llm.errors import NoProviderLeft, ProviderUnavailable

logger = logging.getLogger(__name__)


class Provider(Protocol):
    """A way to a language model. Raises `ProviderUnavailable` where another one may be asked instead."""

    async def complete(self, prompt: str, *, system: str = "") -> str: ...

    def stream(self, prompt: str, *, system: str = "") -> AsyncGenerator[str, None]: ...

    async def close(self) -> None: ...


class Router:
    """Falls back to the next provider when one is unavailable: a rate limit, a 5xx, no connection, no answer in time.

    What the request itself is refused for would be refused by the next one too, or is for a person to mend (a wrong
    key, no credit): it is raised at once. Raises `NoProviderLeft` when all are unavailable. Each try is a span of its
    provider's, below the span that is current here.
    """

    def __init__(self, providers: Sequence[Provider]) -> None:
        if not providers:
            raise ValueError("a Router needs at least one provider: give it Claude(...), OpenRouter(...) or both")
        self._providers = tuple(providers)

    async def complete(self, prompt: str, *, system: str = "") -> str:
        """The whole answer of the first provider that answers."""
        failures: list[ProviderUnavailable] = []
        for provider in self._providers:
            try:
                return await provider.complete(prompt, system=system)
            except ProviderUnavailable as failure:
                _note(failure, failures)
        raise NoProviderLeft(failures)

    async def stream(self, prompt: str, *, system: str = "") -> AsyncGenerator[str, None]:
        """The answer in chunks. A failure after the first chunk is raised: another answer would not continue it."""
        failures: list[ProviderUnavailable] = []
        for provider in self._providers:
            given = False
            async with aclosing(provider.stream(prompt, system=system)) as chunks:
                try:
                    async for chunk in chunks:
                        given = True
                        yield chunk
                except ProviderUnavailable as failure:
                    if given:
                        raise
                    _note(failure, failures)
                else:
                    return
        raise NoProviderLeft(failures)

    async def close(self) -> None:
        """Close the connections of every provider."""
        for provider in self._providers:
            await provider.close()


def _note(failure: ProviderUnavailable, failures: list[ProviderUnavailable]) -> None:
    failures.append(failure)
    logger.warning("%s", failure)
