"""A frame on its way: to Redis, or to the disk that keeps it while Redis cannot."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A frame that Redis has not accepted yet, and the key it goes to.

    `first` is the number of its first event in its lane, from 0; it is not known of a frame that was read from disk.
    """

    key: str
    seq: int
    events: int
    fields: dict[bytes, bytes]
    first: int = 0
