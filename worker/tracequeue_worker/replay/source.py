"""What a replay asks of something that still holds events."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from tracequeue_worker.records import DecodedFrame, Entry
from tracequeue_worker.replay.bookkeeping import Bookkeeping

Content: TypeAlias = Entry | DecodedFrame | Bookkeeping
"""A frame as it was delivered; rows of a database, as a frame of which every line is retried, since the ledger knows
nothing of it; or what another database's ledger says."""

NOWHERE: Final = Entry(b"", 0, b"", {})
"""Where something was that came by no stream."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a source that is read in order, such as one partition or one file.

    `key` is always the same for the same part, and without secrets. `size` is how much there is to read, in the unit of
    `Taken.size`, and None where nobody knows.
    """

    key: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Taken:
    """One thing that was read. `position` is where its part goes on behind it.

    Several may have one position: then it is reached with the last of them, and `position` of the others is None.
    """

    content: Content
    position: str | None
    size: int
    """How much nearer this comes to the end of the part."""


class Source(Protocol):
    """Reads, and changes nothing where it reads.

    `read` ends where the part ended when the replay began; what comes later is for another replay. It raises
    `Transient` and `Fatal` as everything that talks to a server does, and `Damaged` where a file cannot be read on.
    """

    name: str
    """What is read, for people and for the checkpoint: the same for the same source, without secrets."""

    async def parts(self) -> list[Part]: ...

    def read(self, part: Part, after: str | None) -> AsyncIterator[Taken]:
        """What is in a part behind a position."""

    async def shortfalls(self) -> list[str]:
        """At the end: what the source is known to hold no more, or never held, in sentences. None is good news."""
