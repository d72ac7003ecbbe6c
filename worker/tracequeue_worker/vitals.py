"""What moves in a worker, and how long it takes: told by the pipeline, shown by health and metrics."""

import time
from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Histogram

from tracequeue_worker.records import Stored

BATCH_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
LAG_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0)


class Vitals:
    """Of one worker; several in one process each have their own registry."""

    def __init__(self) -> None:
        self.moved_at = time.monotonic()
        """When something was last read, stored or settled."""
        self.registry = CollectorRegistry()
        self.write_seconds = self._histogram(
            "tracequeue_write_seconds", "Writing one batch to the store, successful or not", BATCH_BUCKETS
        )
        self.settle_seconds = self._histogram(
            "tracequeue_settle_seconds", "Settling one batch in Redis, successful or not", BATCH_BUCKETS
        )
        self.lag_seconds = self._histogram(
            "tracequeue_frame_lag_seconds", "From a frame's arrival in the stream to its commit", LAG_BUCKETS
        )

    def moved(self) -> None:
        """Something was read, stored or settled."""
        self.moved_at = time.monotonic()

    def stored(self, frames: Sequence[Stored]) -> None:
        """These frames are committed. An entry's id is the time at which it arrived."""
        self.moved()
        now_ms = time.time() * 1000
        for one in frames:
            self.lag_seconds.observe(max(0.0, now_ms - int(one.frame.entry.id.partition(b"-")[0])) / 1000)

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, meaning, buckets=buckets, registry=self.registry)
