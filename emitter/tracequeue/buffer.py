"""Lines on their way to the publisher: bounded by bytes, never blocking, every drop counted by reason.

Lines are copied into chunks that are used again and again. One bytes object kept per event would cost about
twice as much, most of it in the allocator. The lock is held for that copy only, never while anything is
serialised or sent. It is re-entrant because a signal handler, or a generator that the garbage collector
closes, may emit while this very thread is appending; space is reserved before it is filled for the same reason.
"""

from collections import Counter, deque
from collections.abc import Callable
from threading import RLock
from typing import Protocol

CHUNK_BYTES = 256 * 1024
CHUNKS_AT_LEAST = 2
"""Of a small bound: with many partitions each has little."""
SPARE_CHUNKS = 4
ORDINARY_SHARE = 0.75
"""How much of the bound is for everything. The rest is for what says how something ended: failed steps, trace ends."""
PRESSED_SHARE = 0.5
"""How much may wait before it goes to disk, where there is a spool, although Redis answers."""


class Origin(Protocol):
    """The trace an event belongs to. It counts what was handed over for it, and what of that was lost."""

    emitted: int
    dropped: dict[str, int]


class Chunk:
    """A piece of memory for lines; the unit that becomes one frame. `room` is how much of it ordinary lines may use."""

    __slots__ = ("data", "events", "room", "size", "used")

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.size = self.room = size
        self.used = 0
        self.events = 0

    def text(self) -> bytes:
        """The lines, as NDJSON."""
        return bytes(memoryview(self.data)[: self.used])


class Buffer:
    """The waiting lines of one partition. `wake` is called when the first line arrives, and when a chunk is full."""

    def __init__(self, capacity: int, wake: Callable[[], None]) -> None:
        self._capacity = capacity
        self._chunk_bytes = max(1, min(CHUNK_BYTES, capacity // CHUNKS_AT_LEAST))
        self._wake = wake
        self.reset()

    def reset(self) -> None:
        """Forget everything: the lines, counts and the lock belong to the process that forked."""
        self._lock = RLock()
        self._open = Chunk(self._chunk_bytes)
        self._closed = False
        self._full: deque[Chunk] = deque()
        self._spare: list[Chunk] = []
        self._waiting_bytes = 0
        self.emitted = 0
        self.lost: Counter[str] = Counter()
        self.open_traces = 0

    def append(self, line: bytes, origin: Origin, vital: bool = False) -> None:
        """Take one line, which ends with a newline, or count it as lost. Vital ones are the last to be lost."""
        length = len(line)
        with self._lock:
            self.emitted += 1
            origin.emitted += 1
            while True:  # an interruption may fill the new chunk too: what was read before it says nothing
                chunk = self._open
                start = chunk.used
                end = start + length
                if end <= (chunk.size if vital else chunk.room):
                    break
                if not self._roll(length, vital):
                    self._lose("stopped" if self._closed else "buffer_full", origin)
                    return
            chunk.used = end
            chunk.events += 1
            chunk.data[start:end] = line
        if not start:
            self._wake()

    def lose(self, reason: str, origin: Origin) -> None:
        """Count an event that was handed over and could not be made into a line."""
        with self._lock:
            self.emitted += 1
            origin.emitted += 1
            self._lose(reason, origin)

    def count_lost(self, reason: str, events: int) -> None:
        """Count events that were taken from here and could not be framed."""
        with self._lock:
            self.lost[reason] += events

    def trace_opened(self) -> None:
        with self._lock:
            self.open_traces += 1

    def trace_closed(self) -> None:
        with self._lock:
            self.open_traces = max(0, self.open_traces - 1)

    def take(self, *, partial: bool) -> Chunk | None:
        """The oldest full chunk, or with `partial` also the one being filled. Give it back with `recycle`."""
        with self._lock:
            if not self._full and partial and self._open.events:
                self._seal(self._fresh(0))
            if not self._full:
                return None
            chunk = self._full.popleft()
            self._waiting_bytes -= chunk.used
            return chunk

    def close(self) -> None:
        """Take no more lines; from now on each is counted as lost (`stopped`). What is here can still be taken."""
        with self._lock:
            self._closed = True
            self._seal(Chunk(0))

    def recycle(self, chunk: Chunk) -> None:
        if chunk.size == self._chunk_bytes and len(self._spare) < SPARE_CHUNKS:
            chunk.used = chunk.events = 0
            chunk.room = chunk.size
            self._spare.append(chunk)

    def counts(self) -> tuple[int, dict[str, int], int]:
        """Events handed over, lost by reason, and waiting, all of one moment."""
        with self._lock:
            waiting = self._open.events + sum(chunk.events for chunk in self._full)
            return self.emitted, dict(self.lost), waiting

    @property
    def has_lines(self) -> bool:
        return self._open.events > 0 or self.has_full

    @property
    def has_full(self) -> bool:
        return bool(self._full)

    @property
    def pressed(self) -> bool:
        """Whether so much waits that Redis must be too slow."""
        return self._waiting_bytes >= self._capacity * PRESSED_SHARE

    def _roll(self, length: int, vital: bool) -> bool:
        """Make room for a line that does not fit the open chunk. False where the bound is reached."""
        needed = self._waiting_bytes + self._open.used + length
        ordinary = needed <= self._capacity * ORDINARY_SHARE
        if self._closed or needed > self._capacity or not (ordinary or vital):
            return False
        fresh = self._fresh(length)
        if not ordinary:
            fresh.room = 0
        self._seal(fresh)
        return True

    def _fresh(self, length: int) -> Chunk:
        """An empty chunk that holds at least one line of this length."""
        if length > self._chunk_bytes:
            return Chunk(length)
        return self._spare.pop() if self._spare else Chunk(self._chunk_bytes)

    def _seal(self, fresh: Chunk) -> None:
        """Go on with another chunk. It is made before and swapped in by one step: making it may be interrupted."""
        chunk, self._open = self._open, fresh
        if chunk.events:
            self._waiting_bytes += chunk.used
            self._full.append(chunk)

    def _lose(self, reason: str, origin: Origin) -> None:
        for counts in (self.lost, origin.dropped):
            counts.setdefault(reason, 0)
            counts[reason] += 1
