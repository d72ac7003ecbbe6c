"""The way to Redis: one round trip at a time, in a thread of its own.

A server that does not answer holds up that thread alone: the publisher goes on, and puts on disk what waits.
"""

import threading
from collections.abc import Sequence
from queue import SimpleQueue
from time import monotonic
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tracequeue.bell import Bell
from tracequeue.outgoing import Outgoing

CONNECT_SECONDS = 2.0
SOCKET_SECONDS = 5.0
SHORTEST_SECONDS = 0.01


def connect(url: str, longest: float = SOCKET_SECONDS) -> redis.Redis:
    """A client that answers or fails soon, and never repeats a command behind our back."""
    pool = redis.ConnectionPool.from_url(url)
    pool.connection_kwargs |= {
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": longest,
        "socket_connect_timeout": min(CONNECT_SECONDS, longest),
    }  # after the URL was read: its options would win
    return redis.Redis.from_pool(pool)


class Trip:
    """A round trip with some frames. `replies` has one for each, an exception where it was refused, None before."""

    def __init__(self, frames: Sequence[Outgoing]) -> None:
        self.frames = frames
        self.replies: Sequence[object] | None = None
        self.bell = Bell()

    def wait(self, seconds: float) -> bool:
        """Wait for the replies, until the bell rings, for at most so long. Whether they are there."""
        if self.replies is None:
            self.bell.wait(seconds)
        return self.replies is not None

    def make(self, client: redis.Redis) -> None:
        try:
            pipeline = client.pipeline(transaction=False)
            for frame in self.frames:
                pipeline.xadd(frame.key, cast("dict[Any, Any]", frame.fields))
            self.replies = pipeline.execute(raise_on_error=False)
        except Exception as error:  # the thread must outlive whatever a client library raises
            self.replies = [error] * len(self.frames)
        self.bell.ring()


class Wire:
    """Owns the client and the thread, which starts with the first trip."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = connect(url)
        self._trips: SimpleQueue[Trip | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self.threaded = True
        """Whether a thread may be started. Not so in a signal handler: it may have interrupted the start of another."""

    def begin(self, frames: Sequence[Outgoing], deadline: float) -> Trip:
        """Send the frames. Where no thread can be had the trip is over when this returns, before the deadline."""
        trip = Trip(frames)
        if self._thread is None and not (self.threaded and self._start()):
            half = (deadline - monotonic()) / 2  # to connect, and to hear an answer
            with connect(self._url, max(SHORTEST_SECONDS, min(SOCKET_SECONDS, half))) as client:
                trip.make(client)
        else:
            self._trips.put(trip)
        return trip

    def read_bytes(self, key: str, first: int) -> bytes:
        """A string of Redis from a byte on; empty while Redis cannot be asked."""
        try:
            return cast("bytes", self._client.getrange(key, first, -1))
        except (redis.RedisError, OSError):
            return b""

    def close(self) -> None:
        """After the last trip; one that is under way comes to nothing."""
        self._trips.put(None)
        self._client.close()

    def _start(self) -> bool:
        thread = threading.Thread(target=self._run, name="tracequeue-wire", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is going down, or the system has no thread left
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        while (trip := self._trips.get()) is not None:
            trip.make(self._client)
