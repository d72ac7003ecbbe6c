"""What was written to a file of history so far: the figures of its last line."""

from hashlib import sha256

from tracequeue_worker.history.file_format import Trailer


class Totals:
    """`digest` is of the content, the first line included. `ended` says that the last line is written."""

    def __init__(self) -> None:
        self.records = 0
        self.events = 0
        self.first: int | None = None
        self.last: int | None = None
        self.digest = sha256()
        self.ended = False

    def count(self, events: int, at: int | None) -> None:
        """One more record, and its time in microseconds since the epoch."""
        self.records += 1
        self.events += events
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)

    def trailer(self) -> Trailer:
        return Trailer(
            records=self.records, events=self.events, first=self.first, last=self.last, sha256=self.digest.hexdigest()
        )
