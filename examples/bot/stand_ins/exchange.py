"""What an exchange with a stand-in for a provider is made of: a question, its reply, or what goes wrong."""

from dataclasses import dataclass


class Refused(Exception):
    """What was asked for is answered by an error: an HTTP status and a text for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next `times` calls; see `ProviderStandIn.fail`."""

    status: int | None
    times: int
    retry_after: float | None
    midstream: bool
    delay: float


@dataclass(frozen=True, slots=True)
class Question:
    """A request that was understood. `prefix` is what a prompt cache may keep, `rest` is what follows it."""

    model: str
    system: str
    prompt: str
    prefix: str
    rest: str
    max_tokens: int | None
    streamed: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer and its tokens: `fresh` input, input `read` from the cache and `written` to it, and `output`."""

    number: int
    model: str
    text: str
    cut: bool
    fresh: int
    read: int
    written: int
    output: int
