"""Names of the Redis keys, and which partition a trace goes to. Emitter and worker must agree on both."""

from zlib import crc32


def _slot(prefix: str, partition: int) -> str:
    """The hash tag that keeps all keys of a partition in one Redis Cluster slot."""
    return f"{{{prefix}:{partition}}}"


def events_key(prefix: str, partition: int) -> str:
    """The stream of frames of a partition."""
    return f"{_slot(prefix, partition)}:events"


def dead_key(prefix: str, partition: int) -> str:
    """The stream of dead letters of a partition."""
    return f"{_slot(prefix, partition)}:dead"


def tally_key(prefix: str, partition: int) -> str:
    """What workers remember of a partition's stream, to tell when entries were deleted by others."""
    return f"{_slot(prefix, partition)}:tally"


def receipts_key(prefix: str, partition: int, emitter_id: str) -> str:
    """The bitmap of settled frame numbers of one emitter (32 hex digits) in a partition."""
    return f"{_slot(prefix, partition)}:receipts:{emitter_id}"


def partition_of(trace_id: bytes, partitions: int) -> int:
    """The partition of a trace, from the 16 bytes of its id."""
    return crc32(trace_id) % partitions if partitions > 1 else 0
