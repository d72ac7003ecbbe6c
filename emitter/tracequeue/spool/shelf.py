"""One lane's own frames on disk, in the order in which they were put there."""

from collections import deque
from time import monotonic

from tracequeue.outgoing import Outgoing
from tracequeue.spool.folder import Folder
from tracequeue.spool.records import encode
from tracequeue.spool.segment import Segment

SYNC_SECONDS = 1.0
"""A power cut takes at most what was put here within about so long. The death of the process takes nothing."""
RETRY_SECONDS = 1.0


class Shelf:
    """Written at its end by `put`, read from its front by the drain.

    In events: `events` are here now, `ever` is what was put here in this process life, of which `sent` is in Redis
    and `lost` was not given back by the disk.
    """

    def __init__(self, folder: Folder) -> None:
        self.segments: deque[Segment] = deque()
        self.events = 0
        self.ever = 0
        self.sent = 0
        self.lost = 0
        self._folder = folder
        self._synced_at = monotonic()
        self._retry_at = 0.0

    def put(self, frame: Outgoing) -> bool:
        """False where the disk takes no more; then the frame stays with the caller."""
        if monotonic() < self._retry_at:
            return False
        record = encode(frame)
        try:
            self._folder.reserve(len(record))
            segment = self._writable(frame)
            segment.append(record)
        except OSError as error:
            self._folder.note(error)
            self._retry_at = monotonic() + RETRY_SECONDS
            return False
        segment.events += frame.events
        self.events += frame.events
        self.ever += frame.events
        self._folder.note(None)
        self.sync()
        return True

    def first(self) -> int | None:
        """The number of the first event that may still be here. None where nothing is."""
        try:
            return self.segments[0].first
        except IndexError:
            return None

    def sync(self, *, now: bool = False) -> None:
        """Bring the last second's frames to the disk itself."""
        if self.segments and (now or monotonic() - self._synced_at >= SYNC_SECONDS):
            self._sync(self.segments[-1])

    @property
    def unsynced(self) -> bool:
        return bool(self.segments) and self.segments[-1].unsynced

    def accepted(self, segment: Segment, events: int) -> None:
        """Redis holds so many events of the front segment."""
        segment.events -= events
        self.events -= events
        self.sent += events

    def drop_first(self) -> None:
        """The front segment has been read to its end. What it did not give back is lost."""
        segment = self.segments.popleft()
        self.lost += segment.events
        self.events -= segment.events

    def _writable(self, frame: Outgoing) -> Segment:
        if self.segments:
            last = self.segments[-1]
            if last.size < self._folder.segment_bytes and last.reachable:
                return last
            self._sync(last)
        segment = self._folder.create()
        segment.first = frame.first
        self.segments.append(segment)
        return segment

    def _sync(self, segment: Segment) -> None:
        self._synced_at = monotonic()
        try:
            segment.sync()
        except OSError as error:
            self._folder.note(error)
