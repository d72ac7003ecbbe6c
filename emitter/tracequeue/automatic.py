"""`AutomaticTrace`: what an integration opens around code that may open a trace of its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Lock
from types import TracebackType

from tracequeue.context import Host, TraceContext, host
from tracequeue.current import current
from tracequeue.lines import TraceFacts
from tracequeue.site import checked_name
from tracequeue.trace import Trace, UnrecordedTrace


class AutomaticTrace(TraceContext):
    """A trace of which nothing is told before its first span, or its end. Made anew for each execution.

    The first `TraceContext` inside takes its place: there is one trace, under the automatic id, with the explicit name
    and facts, and what they leave open from here. It lasts as long as both of them, and failed if either did. Later
    contexts are traces of their own, linked to this one.
    """

    def __init__(
        self,
        pipeline_name: str,
        *,
        telegram_id: int | None = None,
        session_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        tags: Iterable[str] = (),
    ) -> None:
        super().__init__(pipeline_name, telegram_id=telegram_id, session_id=session_id, metadata=metadata, tags=tags)
        self._lock = Lock()
        """Several threads may open the first span, or a context."""
        self._outer_host: Host | None = None
        self._guest: TraceContext | None = None
        self._open_contexts = 1
        self._told = self._forgotten = self._ended = False
        self._failure: BaseException | None = None
        self._new_span_id: Callable[[], bytes]

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

    def rename(self, pipeline_name: str) -> None:
        """Say what it is, once that is known. An explicit context has said it already."""
        if self._guest is None:
            self._facts = self._facts._replace(pipeline_name=checked_name(pipeline_name, "pipeline_name"))

    def record_error(self, error: BaseException) -> None:
        """Let it end as failed although somebody outside the code handles the exception."""
        self._failure = error

    def forget(self) -> None:
        """Nothing came of it: leave no trace, unless something was told of it already."""
        self._forgotten = True

    def admit(self, guest: TraceContext) -> Trace | UnrecordedTrace | None:
        scope = self._scope
        with self._lock:
            if self._guest is not None or self._ended:
                return None
            self._guest = guest
            self._open_contexts += 1
        if isinstance(scope, Trace):
            self._facts = _filled(guest._facts, self._facts)
            guest.metadata = scope.metadata = self.metadata | guest.metadata
            self._tell(scope)
        return scope

    def leave(self, error: BaseException | None) -> None:
        if isinstance(self._scope, Trace):
            self._close(self._scope, error)

    def _take_place(self) -> None:
        return None

    def _begin(self, trace: Trace) -> None:
        self._new_span_id = trace.new_span_id
        trace.new_span_id = partial(self._first_span_id, trace)

    def _first_span_id(self, trace: Trace) -> bytes:
        self._tell(trace)
        return self._new_span_id()

    def _tell(self, trace: Trace) -> None:
        with self._lock:
            if not self._told:
                self._told = True
                trace.new_span_id = self._new_span_id
                super()._begin(trace)

    def _close(self, trace: Trace, error: BaseException | None) -> None:
        with self._lock:
            self._open_contexts -= 1
            self._failure = self._failure or error
            goes_on = self._open_contexts > 0
        if goes_on or (self._forgotten and not self._told):
            return
        self._tell(trace)
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
        tags=facts.tags or others.tags,
        parent=facts.parent or others.parent,
    )
