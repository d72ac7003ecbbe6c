"""Which streams a worker reads, and as whom."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from tracequeue.keys import dead_key, events_key, receipts_key, tally_key
from tracequeue_worker.settings import ARCHIVE_GROUP, WorkerSettings


@dataclass(frozen=True, slots=True)
class Membership:
    """A consumer of the group on the streams of all partitions."""

    group: str
    consumer: str
    prefix: str
    partitions: Mapping[bytes, int]
    """Stream key -> partition."""

    @classmethod
    def of(cls, settings: WorkerSettings) -> Self:
        streams = {events_key(settings.prefix, number).encode(): number for number in range(settings.partitions)}
        return cls(settings.group, settings.consumer, settings.prefix, streams)

    def to_archive(self) -> Self:
        """The same consumer in the group that archives."""
        return replace(self, group=ARCHIVE_GROUP)

    @property
    def streams(self) -> list[bytes]:
        return list(self.partitions)

    @property
    def keys_begin(self) -> str:
        """With what the names of all keys of this deployment begin, whatever the number of partitions."""
        return f"{{{self.prefix}:"

    def dead(self, stream: bytes) -> str:
        """The dead-letter stream beside a stream."""
        return dead_key(self.prefix, self.partitions[stream])

    def tally(self, stream: bytes) -> str:
        """What is remembered of a stream, beside it."""
        return tally_key(self.prefix, self.partitions[stream])

    def receipts(self, stream: bytes, emitter_id: str) -> str:
        """The receipts of an emitter beside a stream."""
        return receipts_key(self.prefix, self.partitions[stream], emitter_id)
