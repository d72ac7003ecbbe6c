"""`TraceCollector`: what a bot starts and stops. Wires buffers, lanes and publisher; owns fork and exit."""

import atexit
import logging
import os
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from time import monotonic
from typing import Any
from uuid import UUID
from weakref import WeakSet

import orjson

from tracequeue.aside import aside
from tracequeue.buffer import Buffer
from tracequeue.clock import Clock
from tracequeue.errors import AlreadyInitialised
from tracequeue.ids import new_span_id, new_trace_id
from tracequeue.keys import partition_of, receipts_key
from tracequeue.lane import Identity, Lane
from tracequeue.misspelt import misspelt
from tracequeue.publisher import Publisher
from tracequeue.receipts import Receipts, wait_until
from tracequeue.settings import EmitterSettings
from tracequeue.spool import Drain, Folder, Shelf
from tracequeue.wire import Wire

logger = logging.getLogger("tracequeue")

EXIT_SECONDS = 5.0
"""How long the end of the interpreter may wait for what is not sent yet."""


@dataclass(frozen=True, slots=True)
class CollectorStats:
    """Events of this process life: `emitted` = `published` + `spooled` + `buffered` + the sum of `dropped`.

    `spooled` are on disk now and not in Redis yet; a later process sends what this one leaves there.
    """

    emitted: int
    published: int
    buffered: int
    dropped: dict[str, int]
    spooled: int = 0

    @property
    def complete(self) -> bool:
        """Whether Redis holds every event that was handed over."""
        return self.published == self.emitted


class TraceCollector:
    """Takes events without blocking and publishes them from a thread of its own.

    Its methods never raise because of Redis. Each async method has a plain twin for programs without a loop.
    """

    def __init__(self, settings: EmitterSettings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        self.new_trace_id = new_trace_id
        self.new_span_id = new_span_id
        self.recording = settings.enabled
        self.stopped = False
        self._buffers = [
            Buffer(max(1, settings.buffer_bytes // settings.partitions), self._wake) for _ in range(settings.partitions)
        ]
        self._begin_life()
        _collectors.add(self)

    def buffer_for(self, trace_id: UUID) -> Buffer:
        return self._buffers[partition_of(trace_id.bytes, len(self._buffers))]

    async def start(self) -> None:
        """Start the publisher now instead of with the first event. Does not wait for Redis."""
        self.start_sync()

    def start_sync(self) -> None:
        if self.recording:
            self._publisher.start()

    async def flush(self, timeout: float = 5.0) -> bool:
        """Wait until Redis holds everything handed over so far. False after `timeout` seconds."""
        return await aside(partial(self.flush_sync, timeout))

    def flush_sync(self, timeout: float = 5.0) -> bool:
        return self._publisher.flush(timeout)

    async def stop(self, timeout: float = 5.0) -> CollectorStats:
        """Send what is left, for at most `timeout` seconds, and record nothing more. Says what happened."""
        return await aside(partial(self.stop_sync, timeout))

    def stop_sync(self, timeout: float = 5.0) -> CollectorStats:
        self.recording = False
        if not self.stopped:
            self.stopped = True
            self._publisher.stop(timeout)
            atexit.unregister(self._exit)
            if not self.stats().complete:
                self._report_loss()
        return self.stats()

    async def persisted(self, timeout: float = 5.0, *, trace_id: UUID | None = None) -> bool:
        """Wait until everything handed over so far, or what shares a trace's partition, is stored.

        False after `timeout` seconds; also where no worker runs.
        """
        return await aside(partial(self.persisted_sync, timeout, trace_id=trace_id))

    def persisted_sync(self, timeout: float = 5.0, *, trace_id: UUID | None = None) -> bool:
        deadline = monotonic() + timeout
        if not self.flush_sync(timeout):
            return False
        wanted = None if trace_id is None else partition_of(trace_id.bytes, len(self._buffers))
        marks = [(lane, lane.seq) for lane in self._lanes if wanted in (None, lane.partition)]
        return all(wait_until(partial(self._receipts[lane.partition].covers, seq), deadline) for lane, seq in marks)

    def stats(self) -> CollectorStats:
        dropped: Counter[str] = Counter()
        for buffer in self._buffers:
            dropped.update(buffer.counts()[1])
        if unreadable := sum(shelf.lost for shelf in self._shelves):
            dropped["spool_damaged"] = unreadable
        emitted = sum(buffer.counts()[0] for buffer in self._buffers)
        published = sum(lane.published for lane in self._lanes) + sum(shelf.sent for shelf in self._shelves)
        spooled = sum(shelf.events for shelf in self._shelves)
        buffered = emitted - published - spooled - dropped.total()
        return CollectorStats(emitted, published, buffered, dict(dropped), spooled)

    def _report_loss(self) -> None:
        stats = self.stats()
        lost = {"unsent": stats.buffered, f"on disk in {self.settings.spool_dir}": stats.spooled} | {
            f"dropped ({reason})": count for reason, count in stats.dropped.items()
        }
        logger.warning(
            "tracequeue stopped with %d of %d events not in Redis: %s",
            stats.emitted - stats.published,
            stats.emitted,
            ", ".join(f"{count} {what}" for what, count in lost.items() if count),
        )

    def _begin_life(self) -> None:
        """Everything that belongs to one process life. The counts of a parent's events are the parent's."""
        settings = self.settings
        self.identity = Identity(settings)
        self._folder = Folder(settings.spool_dir, settings.prefix, settings.spool_bytes) if settings.spool_dir else None
        self._shelves = [Shelf(self._folder) for _ in self._buffers] if self._folder else []
        self._lanes = [
            Lane(partition, settings, self.identity, buffer, self._account, shelf)
            for partition, (buffer, shelf) in enumerate(zip_longest(self._buffers, self._shelves))
        ]
        drain = Drain(self._folder, self._shelves) if self._folder else None
        self._wire = Wire(settings.redis_url)
        self._publisher = Publisher(self._wire, settings.linger_ms / 1000, self._lanes, drain, self._on_start)
        self._receipts = [Receipts(self._receipt_reader(partition)) for partition in range(settings.partitions)]

    def _receipt_reader(self, partition: int) -> Any:
        key = receipts_key(self.settings.prefix, partition, self.identity.emitter_id)
        return lambda first_byte: self._wire.read_bytes(key, first_byte)

    def _wake(self) -> None:
        self._publisher.wake()

    def _account(self) -> bytes:
        stats = self.stats()
        ever_spooled = sum(shelf.ever for shelf in self._shelves)
        return orjson.dumps({"emitted": stats.emitted, "lost": stats.dropped, "spooled": ever_spooled})

    def _on_start(self) -> None:
        atexit.unregister(self._exit)
        atexit.register(self._exit)

    def _exit(self) -> None:
        self.stop_sync(EXIT_SECONDS)

    def after_fork(self) -> None:
        """In the child: a new emitter that has sent nothing, with locks of its own."""
        for buffer in self._buffers:
            buffer.reset()
        if self._folder is not None:
            self._folder.let_go()
        self._begin_life()
        if "multiprocessing.util" in sys.modules:
            # A multiprocessing child ends without `atexit`, but runs finalizers; it clears those it inherited first.
            util = sys.modules["multiprocessing.util"]
            util.register_after_fork(self, lambda child: util.Finalize(None, child._exit, exitpriority=0))


_collectors: "WeakSet[TraceCollector]" = WeakSet()
_collector: TraceCollector | None = None


def init_collector(settings: EmitterSettings | None = None, **overrides: Any) -> TraceCollector:
    """Make the process's collector, from the environment, from settings, or with keywords over the environment.

    Calling it again with the same settings gives the same collector; with other settings it raises
    `AlreadyInitialised`, unless the first one was stopped. Raises `SettingsError` for a bad value.
    """
    global _collector  # noqa: PLW0603 - the one piece of process-wide state
    if settings is not None and overrides:
        raise TypeError("give either settings or keywords, not both")
    wanted = settings or EmitterSettings.from_environment(**overrides)
    if _collector is not None and not _collector.stopped:
        if _collector.settings == wanted:
            return _collector
        raise AlreadyInitialised("init_collector was called before with other settings: stop that collector first")
    for line in misspelt(os.environ, EmitterSettings.model_fields) if settings is None else ():
        logger.warning("tracequeue: %s", line)
    _collector = TraceCollector(wanted)
    return _collector


def get_collector() -> TraceCollector | None:
    """The process's collector, or None before `init_collector`."""
    return _collector


def use(collector: TraceCollector | None) -> None:
    """Make this the process's collector. For tests: programs call `init_collector`."""
    global _collector  # noqa: PLW0603
    _collector = collector


def _after_fork() -> None:
    for collector in list(_collectors):
        collector.after_fork()


os.register_at_fork(after_in_child=_after_fork)
