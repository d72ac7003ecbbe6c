"""A step of a trace while it runs, and the line it becomes when it ends."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final
from uuid import UUID

import orjson

from tracequeue.arguments import Arguments
from tracequeue.current import NOTHING, Facts, Scope, current, leave
from tracequeue.encoding import Notes, encode, encode_bounded, stacktrace_text
from tracequeue.encoding.notes import UNLISTED
from tracequeue.site import Site, checked_name, site_of_block
from tracequeue.trace import Trace

LINE: Final = b'%b%b%b%b%b%d,"end_time":%d,"duration_ms":%de-3%b%b%b%b}\n'
"""Microseconds as thousandths of milliseconds: a number of JSON, written in a third of the time of a fraction."""
PARENT: Final = b'","parent_span_id":"'
OK: Final = b',"status":"ok","success":true'
INPUT: Final = b',"input_data":'
OUTPUT: Final = b',"output_data":'
NOT_GIVEN: Final = object()
STACKTRACE: Final = "exception.stacktrace"


class Span:
    """One recorded step. Inputs and outputs are encoded when they are given: what happens to them later is not theirs.

    Made by `@traced_span` and `span(...)`; `current_span()` gives the innermost one.
    """

    __slots__ = (
        "_attributes", "_closed", "_input", "_notes", "_outer", "_output", "_site", "_started_ns", "last_error",
        "reported", "span_id", "trace",
    )  # fmt: skip

    recording = True

    def __init__(self, trace: Trace, outer: "Trace | Span", site: Site, given: object = NOT_GIVEN) -> None:
        self.trace = trace
        self._outer = outer
        self._site = site
        self._attributes: dict[str, object] | None = None
        self._notes: Notes = {}
        self._input = b""
        self._output = b""
        self._closed = False
        self.last_error: BaseException | None = None
        self.reported: BaseException | None = None
        self.span_id: bytes = trace.new_span_id()
        self._started_ns = trace.monotonic()
        if given is not NOT_GIVEN:
            self.set_input(given)

    @property
    def trace_id(self) -> UUID:
        return self.trace.trace_id

    @property
    def parent_id(self) -> bytes:
        return self.span_id

    def set_input(self, value: object) -> None:
        """What the step was given; any value. Replaces what the decorator captured."""
        trace, site, notes = self.trace, self._site, self._notes
        if trace.captures_payload:
            encoder = encode_bounded if site.wide_input else encode
            self._input = INPUT + encoder(value, trace.max_value_bytes, "input_data", notes)
            if notes or site.wide_input:
                site.wide_input = _is_noted(notes, "input_data")

    def set_output(self, value: object) -> None:
        """What the step made; any value. Replaces what the decorator captured."""
        trace, site, notes = self.trace, self._site, self._notes
        if trace.captures_payload:
            encoder = encode_bounded if site.wide_output else encode
            self._output = OUTPUT + encoder(value, trace.max_value_bytes, "output_data", notes)
            if notes or site.wide_output:
                site.wide_output = _is_noted(notes, "output_data")

    def set_encoded_output(self, encoded: bytes, notes: Notes) -> None:
        """The output as JSON that is bounded already, and what was cut from it."""
        self._output = OUTPUT + encoded
        self._notes |= notes

    def set_attribute(self, name: str, value: object) -> None:
        """A fact about the step, such as `gen_ai.request.model`. The last value given for a name counts."""
        if self._attributes is None:
            self._attributes = {}
        self._attributes[name] = value

    def set_attributes(self, attributes: Mapping[str, object]) -> None:
        for name, value in attributes.items():
            self.set_attribute(name, value)

    def record_error(self, error: BaseException) -> None:
        """Let the span end as failed although its code handled the exception."""
        self.reported = error

    def note(self, path: str, what: object) -> None:
        """Say in the span's `truncated` that something was left out."""
        self._notes[path] = what

    def finish(self, result: object) -> None:
        """End the step with what its function returned."""
        ended_ns = self.trace.monotonic()
        if self._site.capture_output:
            self.set_output(result)
        self._end(ended_ns, self.reported)

    def close(self, error: BaseException | None = None) -> None:
        """End the step and hand it over. Closing again does nothing."""
        self._end(self.trace.monotonic(), self.reported if error is None else error)

    def _end(self, ended_ns: int, failure: BaseException | None) -> None:
        if self._closed:
            return
        self._closed = True
        trace, site, started_ns = self.trace, self._site, self._started_ns
        epoch_ns, outer_id = trace.epoch_ns, self._outer.span_id
        try:
            line = LINE % (
                trace.head,
                self.span_id,
                PARENT if outer_id else b"",
                outer_id,
                site.head,
                (started_ns + epoch_ns) // 1000,
                (ended_ns + epoch_ns) // 1000,
                (ended_ns - started_ns) // 1000,
                OK if failure is None else self._failure(failure),
                self._input,
                self._output,
                self._details() if self._attributes or site.attributes or self._notes else b"",
            )
        except Exception:
            trace.lose_internal()
        else:
            trace.buffer.append(line, trace, failure is not None)

    def _details(self) -> bytes:
        details = b""
        if self.trace.captures_details and (self._attributes or self._site.attributes):
            details = b',"attributes":' + self._encoded_attributes()
        if self._notes:
            details += b',"truncated":' + orjson.dumps(self._notes)
        return details

    def _encoded_attributes(self) -> bytes:
        attributes = self._site.attributes | (self._attributes or {})
        return encode(attributes, self.trace.max_value_bytes, "attributes", self._notes)

    def _failure(self, error: BaseException) -> bytes:
        if self.trace.captures_details and self.last_error is not error:
            self.set_attribute(STACKTRACE, stacktrace_text(error))
        self.last_error = None
        self._outer.last_error = error
        status, text = self.trace.outcome(error)
        return b',"status":"%b","success":false,"error":%b' % (status.encode(), orjson.dumps(text))


def open_call(scope: Scope, site: Site, arguments: Arguments, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
    """Start the span of a function call below a recording scope."""
    parent: Any = scope  # a trace or a span: no others record
    return Span(parent.trace, parent, site, arguments.named(args, kwargs) if site.capture_input else NOT_GIVEN)


def current_span() -> Facts:
    """The innermost open span, to add facts to. Before a trace's first span that is the trace itself, whose
    metadata takes them; outside a recorded trace, an object that does nothing.
    """
    return current.get() or NOTHING


class span:  # noqa: N801 - reads as a keyword: `with span("db:lookup") as s`
    """A block as a step: `with span("db:lookup", kind="tool") as s: s.set_output(rows)`, or `async with`.

    Outside a recorded trace the block runs as if it stood alone. Raises `TypeError` or `ValueError` for a
    name that is not 1 to 200 characters of text.
    """

    __slots__ = ("_attributes", "_outer", "_site", "_span")

    def __init__(self, name: str, *, kind: str | None = None, attributes: Mapping[str, object] | None = None) -> None:
        self._site = site_of_block(checked_name(name, "a span's name"), kind)
        self._attributes = attributes
        self._span: Span | None = None
        self._outer: Scope | None = None

    def __enter__(self) -> Facts:
        scope = current.get()
        if not isinstance(scope, (Trace, Span)):
            return NOTHING
        opened = Span(scope.trace, scope, self._site)
        if self._attributes:
            opened.set_attributes(self._attributes)
        self._span, self._outer = opened, scope
        current.set(opened)
        return opened

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        opened, self._span = self._span, None
        if opened is not None:
            leave(opened, self._outer)
            opened.close(error)

    async def __aenter__(self) -> Facts:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


def _is_noted(notes: Notes, path: str) -> bool:
    """Whether something of a value was cut or replaced, or may have been: of notes that are too many nobody knows."""
    return any(place.startswith(path) or place == UNLISTED for place in notes)
