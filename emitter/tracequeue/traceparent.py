"""W3C traceparent, in and out. It links traces and never replaces an id: https://www.w3.org/TR/trace-context/."""

import re
from collections.abc import MutableMapping
from typing import TypeVar, overload

from tracequeue.current import Scope, current

Carrier = TypeVar("Carrier", bound=MutableMapping[str, str])

_PATTERN = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


def render(scope: Scope) -> str:
    """The traceparent that names this scope to another process."""
    flags = "01" if scope.recording else "00"
    return f"00-{scope.trace_id.hex}-{scope.parent_id.decode()}-{flags}"


def accept(header: str) -> str | None:
    """The header if it is a valid traceparent, else None: the standard asks to ignore a broken one."""
    text = header.strip().lower()
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    version, trace, parent, rest = match.groups()
    broken = version == "ff" or not trace.strip("0") or not parent.strip("0") or (version == "00" and rest)
    return None if broken else text[:55]


@overload
def inject(carrier: dict[str, str]) -> dict[str, str]: ...  # so that `inject({})` has a type


@overload
def inject(carrier: Carrier) -> Carrier: ...


def inject(carrier: Carrier) -> Carrier:
    """Add the current `traceparent` to headers for a call to another process; outside a trace, add nothing."""
    scope = current.get()
    if scope is not None:
        carrier["traceparent"] = render(scope)
    return carrier
