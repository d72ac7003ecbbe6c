"""The thread that takes lines from the buffers and puts frames onto the stream, whatever Redis does.

It sends, waits and retries on its own connection; nothing here runs in the bot's threads except `wake`. A
reply that is lost makes it send the same frame under the same number again, which the worker's ledger knows.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from time import monotonic, sleep
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tracequeue.bell import Bell
from tracequeue.lane import Lane, Outgoing

logger = logging.getLogger("tracequeue")

OUTBOX_FRAMES = 16
"""Frames made ahead of what Redis accepted, per partition; the rest waits in the buffer, which counts its bytes."""
HEARTBEAT_SECONDS = 10.0
CONNECT_SECONDS = 2.0
SOCKET_SECONDS = 5.0
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0


def connect(url: str) -> redis.Redis:
    """A client that answers or fails soon, and never repeats a command behind our back."""
    return redis.Redis.from_url(
        url,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class Publisher:
    """Owns the thread and the connection. `lanes` are read by this thread alone, except for their counts."""

    def __init__(self, url: str, linger_seconds: float, lanes: Sequence[Lane], on_start: Callable[[], None]) -> None:
        self.lanes = lanes
        self._url = url
        self._linger = linger_seconds
        self._on_start = on_start
        self._client = connect(url)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._bell = Bell()
        self._hurry = False
        self._stopping = threading.Event()
        self._progress = threading.Condition()
        self._failures = 0
        self._last_sent = monotonic()
        self._deadline = 0.0

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
            thread = threading.Thread(target=self._run, name="tracequeue-publisher", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is going down: `stop` sends what is left from its own thread
                return
            self._thread = thread
        finally:
            self._starting.release()
        self._on_start()

    def flush(self, timeout: float) -> bool:
        """Wait until Redis has accepted all events handed over so far. False after `timeout` seconds."""
        marks = [lane.handed_over() for lane in self.lanes]

        def done() -> bool:
            return all(lane.delivered(mark) for lane, mark in zip(self.lanes, marks, strict=True))

        if done():
            return True
        self._hurry = True
        self.wake()
        with self._progress:
            delivered = self._progress.wait_for(done, timeout)
        self._hurry = False
        return delivered

    def stop(self, timeout: float) -> None:
        """Send what is left and a final mark, for at most `timeout` seconds; then the thread is on its own."""
        self._deadline = monotonic() + timeout
        self._stopping.set()
        self._hurry = True
        self._bell.ring()
        if self._thread is not None:
            self._thread.join(timeout)
        elif any(lane.handed_over() for lane in self.lanes):
            self._drain()

    def read_bytes(self, key: str, first: int) -> bytes:
        """A string of Redis from a byte on; empty while Redis cannot be asked."""
        try:
            return cast("bytes", self._client.getrange(key, first, -1))
        except (redis.RedisError, OSError):
            return b""

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wait()
            self._publish()
        self._drain()

    def _publish(self) -> None:
        try:
            self._fill()
            self._heartbeat()
            self._send()
        except Exception:  # whatever it is (out of memory, say), events still come and this is their only way out
            self._failures += 1
            logger.exception("tracequeue could not publish; it tries again")

    def _wait(self) -> None:
        if self._failures:
            self._stopping.wait(self._delay())
            return
        if any(lane.outbox or lane.buffer.has_full for lane in self.lanes):
            return
        self._bell.wait(HEARTBEAT_SECONDS)
        if not self._hurry:
            self._bell.wait(self._linger)

    def _fill(self) -> None:
        for lane in self.lanes:
            lane.fill(OUTBOX_FRAMES, partial=True)

    def _heartbeat(self) -> None:
        """While traces are open and nothing else is sent, show that this emitter lives."""
        if monotonic() - self._last_sent >= HEARTBEAT_SECONDS:
            for lane in self.lanes:
                if lane.buffer.open_traces and not lane.outbox:
                    lane.mark()

    def _drain(self) -> None:
        while any(lane.waiting() for lane in self.lanes) and monotonic() < self._deadline:
            self._fill()
            if not self._send():
                sleep(max(0.0, min(self._delay(), self._deadline - monotonic())))
        for lane in self.lanes:
            lane.buffer.close()
        self._fill()
        for lane in self.lanes:
            lane.mark()
        self._send()
        self._client.close()

    def _send(self) -> bool:
        """One round trip with all frames that are due. True where Redis accepted every one."""
        frames = [(lane, frame) for lane in self.lanes for frame in lane.due()]
        if not frames:
            return True
        try:
            replies = self._add([frame for _, frame in frames])
        except Exception as error:  # this thread must outlive whatever a client library raises
            replies = [error] * len(frames)
        refused = [reply for reply in replies if isinstance(reply, Exception)]
        for (lane, frame), reply in zip(frames, replies, strict=True):
            lane.refused = isinstance(reply, Exception)
            if not lane.refused:
                lane.accepted(frame)
        self._note(refused[0] if refused else None, some_accepted=len(refused) < len(frames))
        with self._progress:
            self._progress.notify_all()
        return not refused

    def _add(self, frames: Sequence[Outgoing]) -> list[object]:
        pipeline = self._client.pipeline(transaction=False)
        for frame in frames:
            pipeline.xadd(frame.key, cast("dict[Any, Any]", frame.fields))
        return pipeline.execute(raise_on_error=False)

    def _note(self, error: Exception | None, *, some_accepted: bool) -> None:
        """Pauses grow only while nothing at all is accepted: one sick partition must not hold up the others."""
        if some_accepted:
            self._last_sent = monotonic()
        if error is None:
            if self._failures:
                logger.warning("tracequeue: Redis accepts events again")
            self._failures = 0
            return
        first = not self._failures
        self._failures = 1 if some_accepted else self._failures + 1
        if first:
            logger.warning(
                "tracequeue: Redis takes no events (%s: %s); they wait in the buffer; "
                "check Redis and TRACEQUEUE_REDIS_URL",
                type(error).__name__,
                error,
            )

    def _delay(self) -> float:
        """Grows with every failure, up to a cap, with jitter so that many bots do not come back at once."""
        longest = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(self._failures, 10))
        return random.uniform(longest / 2, longest)  # noqa: S311
