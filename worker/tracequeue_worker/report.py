"""What a worker did, for its closing line."""

from dataclasses import dataclass, field

from tracequeue_worker.records import Stored


@dataclass(slots=True)
class WorkerReport:
    """Counts of one run.

    `reasons` are those of the dead letters; `known` frames were stored before and only settled here; `conflicts` are
    frame numbers used twice, `span_conflicts` span ids used twice for different content; `ignored_fields` were unknown;
    `unfinished` frames were read and left pending for others, `held` ones of them by the breaker; `vanished` ones were
    deleted by someone while they were pending, `lost_entries` are all that others took out of the streams before they
    were stored; `trimmed` ones were settled; `archived` ones were written to the archive.
    """

    frames: int = 0
    events: int = 0
    rows: int = 0
    dead_letters: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    conflicts: int = 0
    span_conflicts: int = 0
    ignored_fields: int = 0
    known: int = 0
    unfinished: int = 0
    held: int = 0
    vanished: int = 0
    lost_entries: int = 0
    trimmed: int = 0
    archived: int = 0
    seconds: float = 0.0

    def count_stored(self, stored: Stored) -> None:
        """A frame that is committed."""
        frame = stored.frame
        self.frames += 1
        if stored.known:
            self.known += 1
            return
        self.events += frame.events
        whole = any(rejection.index is None for rejection in stored.rejections)
        self.rows += 0 if whole else frame.events - len(stored.rejections)

    def count_settled(self, stored: Stored) -> None:
        """A frame that is settled, and its dead letters written."""
        for rejection in stored.rejections:
            self.dead_letters += 1
            self.reasons[rejection.reason] = self.reasons.get(rejection.reason, 0) + 1
        self.conflicts += sum(rejection.reason == "seq_conflict" for rejection in stored.rejections)
