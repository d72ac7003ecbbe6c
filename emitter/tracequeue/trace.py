"""The live state of a recorded trace: its identity, clock anchor, limits and counts. Spans and contexts share it."""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol
from uuid import UUID

from tracequeue.buffer import Buffer
from tracequeue.clock import Clock
from tracequeue.current import Nothing
from tracequeue.encoding import clean_text, error_text
from tracequeue.events import NAME_LENGTH
from tracequeue.settings import EmitterSettings

logger = logging.getLogger("tracequeue")


class Recorder(Protocol):
    """What a trace needs of the collector."""

    settings: EmitterSettings
    clock: Clock
    new_trace_id: Callable[[], UUID]
    new_span_id: Callable[[], bytes]

    def buffer_for(self, trace_id: UUID) -> Buffer: ...


class Trace:
    """A trace that is being recorded. As a scope it is the parent of root spans, which have none to name.

    All times derive from one wall-clock anchor plus a monotonic difference, so no span runs backwards.
    """

    __slots__ = (
        "anchor_ns", "buffer", "captures_details", "captures_payload", "dropped", "emitted", "epoch_ns", "head",
        "last_error", "max_value_bytes", "metadata", "monotonic", "new_span_id", "reported", "start_time", "trace_id",
    )  # fmt: skip

    recording = True
    span_id = b""

    def __init__(self, recorder: Recorder, trace_id: UUID, metadata: dict[str, object]) -> None:
        settings = recorder.settings
        self.trace_id = trace_id
        self.metadata = metadata
        self.buffer = recorder.buffer_for(trace_id)
        self.new_span_id = recorder.new_span_id
        self.monotonic = recorder.clock.monotonic
        self.max_value_bytes = settings.max_value_bytes
        self.captures_payload = settings.capture == "full"
        self.captures_details = settings.capture != "off"
        self.head = b'{"type":"span","trace_id":"%b","span_id":"' % str(trace_id).encode()
        self.emitted = 0
        self.dropped: dict[str, int] = {}
        self.last_error: BaseException | None = None
        self.reported: BaseException | None = None
        self.anchor_ns = self.monotonic()
        self.start_time = recorder.clock.wall() // 1000
        self.epoch_ns = self.start_time * 1000 - self.anchor_ns

    @property
    def trace(self) -> "Trace":
        return self

    @property
    def parent_id(self) -> bytes:
        """A trace has no span of its own: the lower half of its id names it, which is never zero."""
        return self.trace_id.hex[16:].encode()

    def microseconds(self, moment_ns: int) -> int:
        """A moment of the monotonic clock as microseconds since the epoch."""
        return (moment_ns + self.epoch_ns) // 1000

    def hand_over(self, line: Callable[[], bytes], vital: bool = False) -> None:
        """Make an event's line and append it to the buffer, whatever happens. A vital one is the last to be lost."""
        try:
            encoded = line()
        except Exception:
            self.lose_internal()
        else:
            self.buffer.append(encoded, self, vital)

    def outcome(self, error: BaseException | None) -> tuple[str, str | None]:
        """Status and error text. Whatever is no `Exception` (cancellation, an early close, Ctrl-C) is `cancelled`."""
        if error is None:
            return "ok", None
        text = error_text(error) if self.captures_details else clean_text(type(error).__name__, NAME_LENGTH)
        return "error" if isinstance(error, Exception) else "cancelled", text

    def lose_internal(self) -> None:
        """Count an event that our own code failed to encode. It is logged once a trace and never reaches the bot."""
        self.buffer.lose("internal", self)
        if self.dropped["internal"] == 1:
            logger.exception("tracequeue could not encode an event; it is counted as dropped (internal)")

    def set_attribute(self, name: str, value: object) -> None:
        """At the level of the trace, facts go to its metadata."""
        self.metadata[name] = value

    def set_attributes(self, attributes: Mapping[str, object]) -> None:
        self.metadata.update(attributes)

    def set_input(self, value: object) -> None:
        if self.captures_payload:
            self.metadata["input"] = value

    def set_output(self, value: object) -> None:
        if self.captures_payload:
            self.metadata["output"] = value

    def record_error(self, error: BaseException) -> None:
        """Let the trace end as failed although the code inside handled the exception."""
        self.reported = error


class UnrecordedTrace(Nothing):
    """A trace that is sampled out, or has no collector: it has an id for logs and headers, and emits nothing."""

    __slots__ = ("trace_id",)

    recording = False

    def __init__(self, trace_id: UUID) -> None:
        self.trace_id = trace_id

    @property
    def parent_id(self) -> bytes:
        return self.trace_id.hex[16:].encode()
