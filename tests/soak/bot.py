"""A bot of the soak, a program of its own: it writes down each event before it hands it over.

SIGTERM stops it as a deployment would. SIGUSR1 lets it wait until what it handed over has left its memory, for Redis or
for its disk, and then it kills itself with SIGKILL: nothing is cleaned up, and yet the account must be exact.
"""

import hashlib
import json
import os
import signal
import struct
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from tracequeue import TraceCollector, TraceContext, init_collector, span

RECORD = struct.Struct(">16s8sI")
"""Of the journal: the trace, the span (zeros: the trace itself), the number of the span in this life."""
NO_SPAN = bytes(8)
SPANS_PER_TRACE = 20
REFUSED_EVERY = 401
"""One span in so many has the name that the database refuses now and then."""
REFUSED = "refused"
PAUSE_SECONDS = 0.01
STOP_SECONDS = 30.0


def name_of(number: int) -> str:
    return REFUSED if number % REFUSED_EVERY == 0 else f"step:{number % 7}"


def output_of(life: int, number: int) -> dict[str, object]:
    """What the row must hold, for nothing but the journal's figures."""
    return {"life": life, "number": number, "text": hashlib.md5(f"{life}:{number}".encode()).hexdigest()}


class Life:
    """One life of a bot: as many spans a second as it is told, until a signal comes."""

    def __init__(self, number: int, rate: float, journal: Path) -> None:
        self._number = number
        self._rate = rate
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._stats = journal.with_suffix(".json")
        self._spans = 0
        self._asked: int | None = None
        for one in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(one, self._ask)
        self._collector: TraceCollector = init_collector()

    def run(self) -> None:
        self._collector.start_sync()
        began = time.monotonic()
        while self._asked is None:
            while self._asked is None and self._spans < (time.monotonic() - began) * self._rate:
                self._trace()
            time.sleep(PAUSE_SECONDS)
        if self._asked == signal.SIGUSR1:
            self._die()
        self._collector.stop_sync(STOP_SECONDS)
        self._say()

    def _ask(self, number: int, _: FrameType | None) -> None:
        self._asked = number

    def _trace(self) -> None:
        context = TraceContext("support", telegram_id=42)
        trace_id = context.trace_id.bytes
        self._write(trace_id, NO_SPAN, 0)
        with context:
            for _ in range(SPANS_PER_TRACE):
                self._spans += 1
                with span(name_of(self._spans)) as step:
                    step.set_output(output_of(self._number, self._spans))
                    self._write(trace_id, bytes.fromhex(step.span_id.decode()), self._spans)  # type: ignore[attr-defined]

    def _write(self, trace_id: bytes, span_id: bytes, number: int) -> None:
        os.write(self._journal, RECORD.pack(trace_id, span_id, number))

    def _die(self) -> None:
        while self._collector.stats().buffered:
            time.sleep(PAUSE_SECONDS)
        self._say()
        os.kill(os.getpid(), signal.SIGKILL)

    def _say(self) -> None:
        self._stats.write_text(json.dumps(asdict(self._collector.stats())))


if __name__ == "__main__":
    Life(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])).run()
