"""What /metrics says, in the text format of Prometheus: base units, and labels of few values each.

No label holds what a producer chooses: neither pipelines nor people nor emitters.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Final, Literal

from prometheus_client import ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tracequeue_worker.backlog import Backlog
from tracequeue_worker.errors import Fatal
from tracequeue_worker.health.watch import Sight, Watch
from tracequeue_worker.pipeline import Pipeline

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
REASON: Final = re.compile(r"[a-z_]{1,30}|store:[0-9A-Z]{5}")

Name = Literal[
    # Counts of this worker, since it started.
    "tracequeue_frames",  # committed, those that were stored before included
    "tracequeue_known_frames",  # committed before: delivered again, and only settled here
    "tracequeue_events",  # in frames that were new
    "tracequeue_rows",  # of these, stored as rows
    "tracequeue_dead_letters",  # of these, dead-lettered, by reason
    "tracequeue_seq_conflicts",  # frame numbers used twice for different frames
    "tracequeue_span_conflicts",  # span ids used twice for different content
    "tracequeue_ignored_fields",  # of events, unknown here
    "tracequeue_reclaimed_frames",  # taken over from silent workers
    "tracequeue_lost_frames",  # taken out of the streams by somebody before they were stored
    "tracequeue_trimmed_frames",  # settled by every group, and taken out of the streams
    "tracequeue_archived_frames",  # written to the archive
    "tracequeue_failures",  # of an operation that is tried again
    # This worker now.
    "tracequeue_trouble",  # 1 while an operation is degraded (tried again) or held (needs a person)
    "tracequeue_in_flight_frames",  # read and not settled
    "tracequeue_held_producers",  # whose records the store refuses again and again
    "tracequeue_held_frames",  # of these producers, read and not settled
    "tracequeue_last_progress_timestamp_seconds",  # when something was last read, stored or settled
    # The streams, as this worker last saw them: the same for every worker of the group.
    "tracequeue_unread_frames",
    "tracequeue_pending_frames",  # read by some worker and not settled
    "tracequeue_oldest_frame_seconds",  # the age of the oldest frame not settled; 0 without one
    "tracequeue_dead_letter_entries",  # in the dead-letter stream
    "tracequeue_consumers",
    "tracequeue_redis_memory_bytes",
    "tracequeue_redis_memory_limit_bytes",  # 0: no limit
    "tracequeue_build_info",
]

PARTITION_FIGURES: Final[tuple[tuple[Name, str, Callable[[Backlog], float]], ...]] = (
    ("tracequeue_unread_frames", "Not delivered to any worker", lambda one: one.unread),
    ("tracequeue_pending_frames", "Delivered and not settled", lambda one: one.pending),
    ("tracequeue_oldest_frame_seconds", "Age of the oldest frame not settled", lambda one: one.oldest_seconds or 0.0),
    ("tracequeue_dead_letter_entries", "Dead letters kept", lambda one: one.dead_letters),
    ("tracequeue_consumers", "Consumers of the group", lambda one: one.consumers),
)


class Metrics(Collector):
    """The metrics of one worker; adds itself to the registry of its vitals."""

    def __init__(self, pipeline: Pipeline, watch: Watch) -> None:
        self._pipeline = pipeline
        self._watch = watch
        self._registry = pipeline.vitals.registry
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def page(self) -> bytes:
        """All of them, for a scraper."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield from self._counts()
        yield from self._state()
        if self._watch.sight is not None:
            yield from _streams(self._watch.sight)
        yield _gauges("tracequeue_build_info", "The version that runs", "version", {version("tracequeue"): 1})

    def _counts(self) -> Iterator[Metric]:
        pipeline, report = self._pipeline, self._pipeline.report
        yield _count("tracequeue_frames", "Frames committed", report.frames)
        yield _count("tracequeue_known_frames", "Frames that had been stored before", report.known)
        yield _count("tracequeue_events", "Events in new frames", report.events)
        yield _count("tracequeue_rows", "Events stored", report.rows)
        reasons: dict[str, float] = {}
        for reason, letters in report.reasons.items():
            label = reason if REASON.fullmatch(reason) else "other"
            reasons[label] = reasons.get(label, 0) + letters
        yield _counts("tracequeue_dead_letters", "Dead letters written", "reason", reasons)
        yield _count("tracequeue_seq_conflicts", "Frame numbers used twice", report.conflicts)
        yield _count("tracequeue_span_conflicts", "Span ids used twice", pipeline.sink.span_conflicts)
        yield _count("tracequeue_ignored_fields", "Unknown fields of events", pipeline.decoder.ignored_fields)
        yield _count("tracequeue_reclaimed_frames", "Frames of silent workers", pipeline.reclaimer.taken_over)
        yield _count("tracequeue_lost_frames", "Frames that somebody deleted unstored", report.lost_entries)
        yield _count("tracequeue_trimmed_frames", "Settled frames taken out of the streams", report.trimmed)
        yield _count("tracequeue_archived_frames", "Frames written to the archive", report.archived)
        failures = {name: float(patience.failures) for name, patience in pipeline.patience.items()}
        yield _counts("tracequeue_failures", "Failed attempts", "operation", failures)

    def _state(self) -> Iterator[Metric]:
        trouble = GaugeMetricFamily("tracequeue_trouble", "What is tried again", labels=("operation", "state"))
        for name, patience in self._pipeline.patience.items():
            held = isinstance(patience.trouble, Fatal)
            trouble.add_metric((name, "degraded"), patience.trouble is not None and not held)
            trouble.add_metric((name, "held"), held)
        yield trouble
        yield _gauge("tracequeue_in_flight_frames", "Frames in this worker's hands", len(self._pipeline.in_flight))
        producers = self._pipeline.held
        yield _gauge("tracequeue_held_producers", "Producers that the store refuses", len(producers))
        yield _gauge("tracequeue_held_frames", "Frames of held producers", sum(one.frames for one in producers))
        moved_at = time.time() - (time.monotonic() - self._pipeline.vitals.moved_at)
        yield _gauge("tracequeue_last_progress_timestamp_seconds", "Last read, stored or settled", moved_at)


def _streams(sight: Sight) -> Iterator[Metric]:
    for name, meaning, figure in PARTITION_FIGURES:
        yield _gauges(name, meaning, "partition", {str(one.partition): figure(one) for one in sight.backlogs})
    if sight.memory is not None:
        yield _gauge("tracequeue_redis_memory_bytes", "Memory that Redis uses", sight.memory.used)
        yield _gauge("tracequeue_redis_memory_limit_bytes", "maxmemory; 0 without one", sight.memory.limit)


def _count(name: Name, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(name, meaning, value=value)


def _counts(name: Name, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def _gauge(name: Name, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _gauges(name: Name, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family
