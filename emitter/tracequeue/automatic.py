"""`AutomaticTrace`: what an integration opens around code that may open a trace of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from types import TracebackType
from typing import cast

from tracequeue.buffer import Buffer
from tracequeue.context import Host, TraceContext, host
from tracequeue.current import current
from tracequeue.held import Held
from tracequeue.lines import TraceFacts
from tracequeue.site import checked_name
from tracequeue.trace import Trace, UnrecordedTrace


class AutomaticTrace(TraceContext):
    """A trace that leaves nothing unless somebody wants it: `name` says that, an error, or a `TraceContext` inside.

    The first `TraceContext` inside takes its place: there is one trace, under the automatic id, with the explicit name
    and facts, and what they leave open from here. It lasts as long as both of them, and failed if either did. Later
    contexts are traces of their own, linked to this one. Made anew for each execution.
    """

    def __init__(
        self,
        pipeline_name: str,
        *,
        telegram_id: int | None = None,
        session_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(pipeline_name, telegram_id=telegram_id, session_id=session_id, metadata=metadata)
        self._lock = RLock()
        """Several threads may open a context here, and code that interrupts this one."""
        self._outer_host: Host | None = None
        self._held: Held | None = None
        self._guest: TraceContext | None = None
        self._open_contexts = 1
        self._unwanted = self._ended = False
        self._failure: BaseException | None = None

    def __enter__(self) -> "AutomaticTrace":
        super().__enter__()
        self._outer_host = host.get()
        host.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if host.get() is self:
            host.set(self._outer_host)
        with self._lock:
            self._ended = True
        super().__exit__(kind, error, traceback)

    async def __aenter__(self) -> "AutomaticTrace":
        return self.__enter__()

    def name(self, pipeline_name: str) -> None:
        """Say what it is, once that is known; an explicit context has said it already. Now it is wanted."""
        self._unwanted = False
        if self._guest is None:
            self._facts = self._facts._replace(pipeline_name=checked_name(pipeline_name, "pipeline_name"))
        self._want()

    def record_error(self, error: BaseException) -> None:
        """Let it end as failed although somebody outside the code handles the exception."""
        self._failure = error
        if not self._unwanted:
            self._want()

    def forget(self) -> None:
        """Nobody wants it: leave nothing, unless something was told of it already, or it is named after all."""
        self._unwanted = True
        if self._held is not None:
            self._held.wanted = False

    def admit(self, guest: TraceContext) -> Trace | UnrecordedTrace | None:
        with self._lock:
            if self._guest is not None or self._ended:
                return None
            self._guest = guest
            self._open_contexts += 1
        if isinstance(self._scope, Trace):
            self._facts = _filled(guest._facts, self._facts)
            guest.metadata = self._scope.metadata = self.metadata | guest.metadata
        if self._held is not None:
            self._held.tell()
        return self._scope

    def leave(self, error: BaseException | None) -> None:
        if isinstance(self._scope, Trace):
            self._close(self._scope, error)

    def _take_place(self) -> None:
        return None

    def _begin(self, trace: Trace) -> None:
        begin = super()._begin
        self._held = Held(trace, lambda: begin(trace))
        trace.buffer = cast("Buffer", self._held)

    def _want(self) -> None:
        if self._held is not None:
            self._held.wanted = True

    def _close(self, trace: Trace, error: BaseException | None) -> None:
        with self._lock:
            self._open_contexts -= 1
            self._failure = self._failure or error
            goes_on = self._open_contexts > 0
        if goes_on or self._held is None:
            return
        wanted = self._held.wanted or (self._failure is not None and not self._unwanted)
        if not wanted and self._held.drop():
            return
        self._held.tell()
        super()._close(trace, self._failure)


@contextmanager
def apart() -> Iterator[None]:
    """A block that belongs to no trace: what it opens itself is linked to none."""
    outer, outer_host = current.get(), host.get()
    current.set(None)
    host.set(None)
    try:
        yield
    finally:
        current.set(outer)
        host.set(outer_host)


def _filled(facts: TraceFacts, others: TraceFacts) -> TraceFacts:
    """The facts, and from the others what they leave open."""
    return facts._replace(
        telegram_id=others.telegram_id if facts.telegram_id is None else facts.telegram_id,
        session_id=others.session_id if facts.session_id is None else facts.session_id,
        parent=facts.parent or others.parent,
    )
