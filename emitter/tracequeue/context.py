"""`TraceContext`: opens a trace around a pipeline, and records how it ended."""

import logging
import random
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, copy_context
from types import TracebackType
from typing import ParamSpec, Protocol, TypeVar
from uuid import UUID

from tracequeue.collector import get_collector
from tracequeue.current import Scope, current, get_current_trace_id, leave
from tracequeue.events import INT64
from tracequeue.ids import new_trace_id
from tracequeue.lines import TraceFacts, ended_line, started_line
from tracequeue.site import checked_name
from tracequeue.trace import Trace, UnrecordedTrace
from tracequeue.traceparent import accept, inject, render

__all__ = ["TraceContext", "bind", "get_current_trace_id", "inject"]

P = ParamSpec("P")
R = TypeVar("R")

_sampling = random.Random()  # noqa: S311 - its own generator: the bot may seed the global one
logger = logging.getLogger("tracequeue")


class Host(Protocol):
    """A trace that was opened around code which may open its own: `AutomaticTrace`."""

    def admit(self, guest: "TraceContext") -> Trace | UnrecordedTrace | None:
        """Let a context take this trace's place. None where it is too late."""

    def leave(self, error: BaseException | None) -> None:
        """The context has ended."""


host: ContextVar[Host | None] = ContextVar("tracequeue_host", default=None)


class TraceContext:
    """One pipeline execution: `async with TraceContext("support", telegram_id=42) as trace:`, or plain `with`.

    A context inside another one opens a trace of its own, linked to the outer; a `traceparent` header links
    too and never replaces the id (a malformed one is ignored, as W3C asks). Exceptions are recorded and let
    through. A context that is entered again after its end opens another trace with a new id. Inside an
    `AutomaticTrace` it takes that one's place, and its id. Without a running collector everything runs as if the
    context were not there.

    `trace_id` is a UUID; `status` (`ok`, `error`, `cancelled`), `duration_ms` and `error` are None until the
    end. `metadata` is a dict that may be filled until the end.

    Raises `TypeError` or `ValueError` at construction for arguments that cannot be stored.
    """

    def __init__(
        self,
        pipeline_name: str,
        *,
        telegram_id: int | None = None,
        user_id: int | None = None,
        session_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Iterable[str] = (),
        traceparent: str | None = None,
    ) -> None:
        self._facts = TraceFacts(
            checked_name(pipeline_name, "pipeline_name"),
            _checked_identity(telegram_id, "telegram_id"),
            _checked_identity(user_id, "user_id"),
            _checked_text(session_id, "session_id"),
            _checked_tags(tags),
            _checked_traceparent(traceparent),
        )
        if metadata is not None and not isinstance(metadata, Mapping):
            raise TypeError(f"metadata must be a mapping, not {type(metadata).__name__}")
        self.metadata: dict[str, object] = dict(metadata or {})
        self.trace_id: UUID = _new_trace_id()
        self.status: str | None = None
        self.error: str | None = None
        self.duration_ms: float | None = None
        self._scope: Trace | UnrecordedTrace | None = None
        self._outer: Scope | None = None
        self._host: Host | None = None
        self._entered_ns = 0
        self._depth = 0

    def __enter__(self) -> "TraceContext":
        self._depth += 1
        if self._depth > 1:
            logger.warning("TraceContext %r is open already: make a new one for each execution", self._facts[0])
            return self
        if self._scope is not None:
            self.trace_id = _new_trace_id()
        self._outer = current.get()
        self._scope = self._take_place()
        if self._scope is None:
            self._scope = self._open()
            current.set(self._scope)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._depth -= 1
        scope = self._scope
        if self._depth or scope is None:
            return
        if self._host is not None:
            self._leave_place(self._host, scope, error)
            return
        leave(scope, self._outer)
        if isinstance(scope, Trace):
            self._close(scope, error or scope.reported)
            scope.last_error = scope.reported = None

    async def __aenter__(self) -> "TraceContext":
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    async def persisted(self, timeout: float = 5.0) -> bool:
        """Wait until all of this trace that was handed over so far is stored. False after `timeout` seconds."""
        collector = get_collector()
        return collector is not None and await collector.persisted(timeout, trace_id=self.trace_id)

    def _take_place(self) -> Trace | UnrecordedTrace | None:
        """Become what an automatic trace stands for, if there is one that nobody has become yet."""
        self._host = host.get()
        scope = None if self._host is None else self._host.admit(self)
        if scope is None:
            self._host = None
        else:
            self.trace_id = scope.trace_id
            self._entered_ns = scope.monotonic() if isinstance(scope, Trace) else 0
        return scope

    def _leave_place(self, of: Host, scope: Trace | UnrecordedTrace, error: BaseException | None) -> None:
        self._host = None
        if isinstance(scope, Trace):
            error = error or scope.reported
            self._conclude(scope, scope.monotonic(), error)
        of.leave(error)

    def _open(self) -> Trace | UnrecordedTrace:
        recorder = get_collector()
        if recorder is None or not recorder.recording or _sampling.random() >= recorder.settings.sample_rate:
            return UnrecordedTrace(self.trace_id)
        trace = Trace(recorder, self.trace_id, self.metadata)
        parent = self._facts.parent or (render(self._outer) if self._outer is not None else None)
        self._facts = self._facts._replace(parent=parent)
        self._entered_ns = trace.anchor_ns
        self._begin(trace)
        return trace

    def _begin(self, trace: Trace) -> None:
        trace.hand_over(lambda: started_line(trace, self._facts))
        trace.buffer.trace_opened()

    def _close(self, trace: Trace, error: BaseException | None) -> None:
        ended_ns = trace.monotonic()
        self._conclude(trace, ended_ns, error)
        trace.hand_over(lambda: ended_line(trace, self._facts, ended_ns, self.status or "ok", self.error), vital=True)
        trace.buffer.trace_closed()

    def _conclude(self, trace: Trace, ended_ns: int, error: BaseException | None) -> None:
        self.duration_ms = (ended_ns - self._entered_ns) / 1e6
        self.status, self.error = trace.outcome(error)


def bind(function: Callable[P, R]) -> Callable[P, R]:
    """Carry the current trace into a thread pool that does not: `pool.submit(bind(work), item)`.

    Each call runs in its own copy of the context, so one bound function may run in many threads at once.
    """
    context = copy_context()

    def bound(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(function, *args, **kwargs)

    return bound


def _new_trace_id() -> UUID:
    collector = get_collector()
    return new_trace_id() if collector is None else collector.new_trace_id()


def _checked_identity(value: int | None, name: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int or None, not {type(value).__name__}")
    if not -INT64 <= value < INT64:
        raise ValueError(f"{name} must fit 64 bits, {value} does not")
    return int(value)


def _checked_text(value: str | None, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} must be text or None, not {type(value).__name__}")
    return value


def _checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise TypeError("tags must be several texts, not one: use a list or a tuple")
    checked = tuple(tags)
    if not all(isinstance(tag, str) for tag in checked):
        raise TypeError("tags must be texts")
    return checked


def _checked_traceparent(header: str | None) -> str | None:
    checked = _checked_text(header, "traceparent")
    return accept(checked) if checked else None
