"""The thread that takes lines from the buffers and sees them delivered, whatever Redis does.

Nothing here runs in the bot's threads except `wake`. A reply that is lost makes it send the same frame under the
same number again, which the worker's ledger knows.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from tracequeue.bell import Bell
from tracequeue.delivery import Delivery
from tracequeue.lane import Lane
from tracequeue.linger import Linger
from tracequeue.spool import Drain
from tracequeue.wire import Wire

logger = logging.getLogger("tracequeue")

SENDING_SHARE = 0.75
"""How much of the time to stop goes to Redis where a spool is set; the rest is for the disk."""


class Publisher:
    """Owns the thread. `lanes` are read by it alone, except for their counts."""

    def __init__(
        self,
        wire: Wire,
        linger_seconds: float,
        lanes: Sequence[Lane],
        drain: Drain | None,
        on_start: Callable[[], None],
    ) -> None:
        self._lanes = lanes
        self._wire = wire
        self._linger = Linger(linger_seconds)
        self._on_start = on_start
        self._spools = drain is not None
        self._delivery = Delivery(lanes, wire, drain, self._tell)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._running = False
        self._finishing = threading.Lock()
        self._finished = threading.Event()
        self._bell = Bell()
        self._hurry = False
        self._stopping = threading.Event()
        self._progress = threading.Condition()

    def wake(self) -> None:
        """There is something to send. Starts the thread with the first event."""
        self._bell.ring()
        if self._thread is None:
            self.start()

    def start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return  # another thread is starting it, or this one: then we are in a signal handler that interrupted it
        try:
            if self._thread is not None or self._stopping.is_set():
                return
            self._thread = threading.Thread(target=self._run, name="tracequeue-publisher", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is going down: `stop` sends what is left from its own thread
                self._thread = None
                return
        finally:
            self._starting.release()
        self._on_start()

    def flush(self, timeout: float) -> bool:
        """Wait until Redis has accepted all events handed over so far. False after `timeout` seconds."""
        marks = [lane.handed_over() for lane in self._lanes]

        def done() -> bool:
            return all(lane.delivered(mark) for lane, mark in zip(self._lanes, marks, strict=True))

        if done():
            return True
        self._hurry = True
        self.wake()
        with self._progress:
            delivered = self._progress.wait_for(done, timeout)
        self._hurry = False
        return delivered

    def stop(self, timeout: float) -> None:
        """Send what is left and a final mark, for at most `timeout` seconds; then the thread is on its own.

        A thread that was not running when `_stopping` was set does nothing but `_finish`, which only one may do.
        """
        now = monotonic()
        self._delivery.hurry(now + timeout * (SENDING_SHARE if self._spools else 1))
        self._hurry = True
        self._stopping.set()
        self._bell.ring()
        if self._running:
            self._finished.wait(timeout)
        elif any(lane.handed_over() for lane in self._lanes):
            self._wire.threaded = False
            self._finish()
        else:
            for lane in self._lanes:
                lane.buffer.close()

    def _run(self) -> None:
        self._running = True
        while not self._stopping.is_set():
            self._wait()
            self._publish()
        self._finish()

    def _publish(self) -> None:
        try:
            self._delivery.turn()
        except Exception as error:  # whatever it is (out of memory, say), events still come and this is their only way
            logger.exception("tracequeue could not publish; it tries again")
            self._delivery.outage.failed(error)

    def _wait(self) -> None:
        seconds = self._delivery.idle_seconds()
        if self._delivery.outage.ongoing and not self._spools:
            self._stopping.wait(seconds)
        elif seconds and (self._begun() or self._bell.wait(seconds)):
            self._wait_for_company()

    def _wait_for_company(self) -> None:
        due = self._linger.due(monotonic())
        while not self._hurry and not self._full() and (left := due - monotonic()) > 0:
            self._bell.wait(left)
        if self._begun():
            self._linger.sent(monotonic())

    def _begun(self) -> bool:
        """Whether lines wait that can be sent. The bell may have told of them before."""
        return not self._delivery.outage.ongoing and any(lane.buffer.has_lines for lane in self._lanes)

    def _full(self) -> bool:
        return any(lane.buffer.has_full for lane in self._lanes)

    def _finish(self) -> None:
        if self._finishing.acquire(blocking=False):
            try:
                self._delivery.finish()
            except Exception:  # it may be the bot's own thread
                logger.exception("tracequeue could not send what was left")
            finally:
                self._finished.set()
                self._tell()

    def _tell(self) -> None:
        with self._progress:
            self._progress.notify_all()
