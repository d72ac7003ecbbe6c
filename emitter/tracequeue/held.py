"""What a trace has instead of the buffer until it is known whether anybody wants it: its lines are held back."""

from collections.abc import Callable
from threading import RLock
from typing import Final

from tracequeue.buffer import Buffer
from tracequeue.trace import Trace

MOST_LINES: Final = 100
"""With more, the trace is one that somebody wants."""


class Held:
    """Holds the lines of one trace until it is told of, or dropped. Then they were never handed over.

    Several threads may come here at once, and code that interrupts this one: the lock is re-entrant.
    """

    def __init__(self, trace: Trace, begin: Callable[[], None]) -> None:
        """`begin` hands the trace's start over."""
        self.wanted = False
        """Whether the next line is enough to tell of the trace."""
        self._trace = trace
        self._buffer: Buffer = trace.buffer
        self._begin = begin
        self._lock = RLock()
        self._lines: list[tuple[bytes, bool]] = []
        self._told = self._dropped = False

    def append(self, line: bytes, trace: Trace, vital: bool = False) -> None:
        """As `Buffer.append`."""
        with self._lock:
            if self._dropped:
                return
            if not (self._told or self.wanted) and len(self._lines) < MOST_LINES:
                self._lines.append((line, vital))
                return
            self.tell()
        self._buffer.append(line, trace, vital)

    def lose(self, reason: str, trace: Trace) -> None:
        """As `Buffer.lose`."""
        with self._lock:
            if self._dropped:
                return
            self.tell()
        self._buffer.lose(reason, trace)

    def tell(self) -> None:
        """Hand the start over, once, and then what was held. From now on the trace has the buffer itself."""
        with self._lock:
            if self._told or self._dropped:
                return
            self._told = True
            self._trace.buffer = self._buffer
            self._begin()
            for line, vital in self._lines:
                self._buffer.append(line, self._trace, vital)
            self._lines.clear()

    def drop(self) -> bool:
        """Leave nothing of the trace, also not of what comes yet. False where it was told of already."""
        with self._lock:
            self._dropped = not self._told
            self._lines.clear()
            return self._dropped
