"""Faults that a test orders: a method fails, answers late, or its connection breaks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from examples.bot.stand_ins.telegram.refusals import Refusal

Drop = Literal["request", "answer"]
"""When the connection breaks: before the bot's call is carried out, or after it."""

DESCRIPTIONS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    404: "Not Found",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    413: "Request Entity Too Large",
    429: "Too Many Requests: retry after {retry_after}",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
TOO_MANY_REQUESTS: Final = 429


@dataclass(slots=True)
class Fault:
    """What happens to the next calls of a method."""

    method: str
    times: int | None
    """How many calls are left; None for all."""
    refusal: Refusal | None = None
    delay: float = 0.0
    drop: Drop | None = None
    chat_id: int | None = None

    def meets(self, method: str, parameters: Mapping[str, Any]) -> bool:
        return (
            self.times != 0
            and self.method.lower() == method.lower()
            and self.chat_id in (None, parameters.get("chat_id"))
        )


class Faults:
    """Those that are ordered, in order: each call meets at most one, the first that fits."""

    def __init__(self) -> None:
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        self._ordered.append(fault)

    def clear(self) -> None:
        self._ordered.clear()

    def met(self, method: str, parameters: Mapping[str, Any]) -> Fault | None:
        """The fault that this call meets; it is used up by that."""
        fault = next((one for one in self._ordered if one.meets(method, parameters)), None)
        if fault is not None and fault.times is not None:
            fault.times -= 1
        return fault


def fault(
    method: str,
    *,
    status: int | None,
    description: str | None,
    retry_after: int | None,
    times: int | None,
    delay: float,
    drop: Drop | None,
    chat_id: int | None,
) -> Fault:
    """Checked. Raises `ValueError` for an order that would do nothing."""
    if status is None and not delay and drop is None:
        raise ValueError(f"the fault of {method} does nothing: give it a status, a delay or a drop")
    refusal = None
    if status is not None:
        if status == TOO_MANY_REQUESTS and retry_after is None:
            retry_after = 1
        said = description or DESCRIPTIONS.get(status, "Error").format(retry_after=retry_after)
        refusal = Refusal(status, said, retry_after)
    return Fault(method, times, refusal, delay, drop, chat_id)
