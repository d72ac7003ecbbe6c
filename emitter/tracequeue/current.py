"""Where the running code is: the trace or span that is current in this context (ContextVar)."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, Protocol
from uuid import UUID


class Facts(Protocol):
    """What can be said of the step that is running, wherever it is: `current_span()` always gives one."""

    def set_input(self, value: object) -> None: ...

    def set_output(self, value: object) -> None: ...

    def set_attribute(self, name: str, value: object) -> None: ...

    def set_attributes(self, attributes: Mapping[str, object]) -> None: ...

    def record_error(self, error: BaseException) -> None: ...


class Scope(Facts, Protocol):
    """A trace or a span: what a new span becomes the child of."""

    @property
    def recording(self) -> bool: ...

    @property
    def trace_id(self) -> UUID: ...

    @property
    def parent_id(self) -> bytes:
        """16 hex digits that name this scope in a `traceparent`."""
        ...


class Nothing:
    """Facts about a step that nobody records."""

    __slots__ = ()

    def set_input(self, value: object) -> None: ...

    def set_output(self, value: object) -> None: ...

    def set_attribute(self, name: str, value: object) -> None: ...

    def set_attributes(self, attributes: Mapping[str, object]) -> None: ...

    def record_error(self, error: BaseException) -> None: ...


NOTHING: Final = Nothing()

current: ContextVar[Scope | None] = ContextVar("tracequeue_current", default=None)


def leave(scope: Scope, outer: Scope | None) -> None:
    """Make `outer` current again, if `scope` still is.

    Not `ContextVar.reset`: a coroutine or generator may be closed in another context than it started in,
    where a token is refused and where `scope` is not current anyway.
    """
    if current.get() is scope:
        current.set(outer)


def get_current_trace_id() -> UUID | None:
    """The id of the trace that the running code belongs to, or None."""
    scope = current.get()
    return None if scope is None else scope.trace_id
