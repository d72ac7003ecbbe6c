"""Why a call to a language model failed, as far as the caller can do something about it."""

from collections.abc import Sequence

TEXT_LENGTH = 300
CURES = {401: "check the API key", 402: "add credit to the account", 403: "check what the API key may do"}


class ProviderError(Exception):
    """A provider did not answer. The text names it and says why, in one line."""

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(f"{provider} {one_line(reason)}")
        self.provider = provider


class ProviderUnavailable(ProviderError):
    """The provider is at fault, or the way to it: a rate limit, a 5xx, no connection, no answer in time.

    Another provider may answer the same request.
    """


class RequestRefused(ProviderError):
    """The request is at fault: malformed, without a valid key, without credit, against a policy."""


class NoProviderLeft(Exception):
    """Every provider was unavailable. The text names each and why, in one line."""

    def __init__(self, failures: Sequence[ProviderUnavailable]) -> None:
        super().__init__(f"no provider answered: {'; '.join(map(str, failures))}; try again later")
        self.failures = tuple(failures)


def one_line(text: str) -> str:
    """A text of somebody else's as part of a one-line message."""
    words = " ".join(text.split())
    return words if len(words) <= TEXT_LENGTH else f"{words[: TEXT_LENGTH - 1]}…"


def failure(provider: str, status: int, reason: str) -> ProviderError:
    """The error for an HTTP status of 400 or more."""
    if status in (408, 429) or status >= 500:
        return ProviderUnavailable(provider, f"answered {status}: {reason}")
    cure = CURES.get(status, "mend the request")
    return RequestRefused(provider, f"refused the request with {status}: {one_line(reason)}; {cure}")
