"""From disk to Redis: oldest first, beside the live frames, at a bounded rate."""

import logging
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from tracequeue.outgoing import Outgoing
from tracequeue.spool.folder import Folder
from tracequeue.spool.records import Found
from tracequeue.spool.segment import Segment
from tracequeue.spool.shelf import Shelf

logger = logging.getLogger("tracequeue")

BATCH_FRAMES = 64
BATCH_BYTES = 1024 * 1024
BYTES_PER_SECOND = 8 * 1024 * 1024
LOOK_SECONDS = 10.0
"""How often a process looks for segments that a dead one left."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A frame read from disk. `shelf` is None where another process wrote it."""

    found: Found
    segment: Segment
    shelf: Shelf | None

    @property
    def frame(self) -> Outgoing:
        return self.found.frame


class Drain:
    """Reads the shelves of this process, and one segment at a time of those that dead processes left."""

    def __init__(self, folder: Folder, shelves: Sequence[Shelf]) -> None:
        self._folder = folder
        self._shelves = shelves
        self._adopted: Segment | None = None
        self._ready_at = 0.0
        self._look_at = 0.0

    def seconds(self) -> float:
        """How long until there may be something to send."""
        waits = self._adopted is not None or any(shelf.segments for shelf in self._shelves)
        return max(0.0, max(self._ready_at, 0.0 if waits else self._look_at) - monotonic())

    def due(self, refused: Container[str], probed: set[str]) -> list[Spooled]:
        """The frames to send now. Of a refused key it is one, where none is on its way (`probed`)."""
        if monotonic() < self._ready_at:
            return []
        self._look()
        found = self._batch(refused, probed)
        self._ready_at = monotonic() + sum(one.found.end - one.found.start for one in found) / BYTES_PER_SECOND
        return found

    def last(self, refused: Container[str], probed: set[str]) -> list[Spooled]:
        """The same before the process ends: only its own frames, and at once."""
        self._release()
        return self._batch(refused, probed)

    def accepted(self, spooled: Spooled) -> None:
        """Redis holds it. Frames of a segment are accepted in their order."""
        segment, found = spooled.segment, spooled.found
        segment.skipped += found.start - segment.position
        segment.position = found.end
        if spooled.shelf is not None:
            spooled.shelf.accepted(segment, found.frame.events)
        if segment.position == segment.size:
            self._retire(segment, spooled.shelf)

    def close(self) -> None:
        """Leave what is not sent to whoever uses the folder next."""
        self._adopted = None
        self._folder.let_go()

    def _batch(self, refused: Container[str], probed: set[str]) -> list[Spooled]:
        batch: list[Spooled] = []
        room = BATCH_BYTES
        for spooled in self._frames():
            key = spooled.frame.key
            if key in probed:
                continue
            if key in refused:
                probed.add(key)
            batch.append(spooled)
            room -= spooled.found.end - spooled.found.start
            if room <= 0 or len(batch) == BATCH_FRAMES:
                break
        return batch

    def _frames(self) -> Iterator[Spooled]:
        if self._adopted is not None:
            yield from self._rest(self._adopted, None)
        for shelf in self._shelves:
            if shelf.segments:
                yield from self._rest(shelf.segments[0], shelf)

    def _rest(self, segment: Segment, shelf: Shelf | None) -> Iterator[Spooled]:
        """What is left of a segment. One that gives nothing more is removed; one that cannot be read is set aside."""
        place = segment.position
        try:
            while found := segment.read(place):
                yield Spooled(found, segment, shelf)
                place = found.end
        except OSError as error:
            logger.warning("tracequeue cannot read %s (%s): it is set aside", segment.path, error)
            segment.set_aside()
            self._forget(segment, shelf)
            return
        if place == segment.position:
            self._retire(segment, shelf)

    def _retire(self, segment: Segment, shelf: Shelf | None) -> None:
        skipped = segment.skipped + segment.size - segment.position
        if skipped:
            logger.warning(
                "tracequeue skipped %d damaged bytes of %s: the numbers of their frames are missing in the account",
                skipped,
                segment.path,
            )
        segment.remove()
        self._forget(segment, shelf)

    def _forget(self, segment: Segment, shelf: Shelf | None) -> None:
        self._folder.forget(segment)
        if shelf is None:
            self._adopted = None
        else:
            shelf.drop_first()

    def _look(self) -> None:
        if self._adopted is None and monotonic() >= self._look_at:
            self._adopted = self._folder.adopt()
            if self._adopted is None:
                self._look_at = monotonic() + LOOK_SECONDS

    def _release(self) -> None:
        """Leave to others what another process wrote."""
        if self._adopted is not None:
            self._folder.forget(self._adopted)
            self._adopted.close()
            self._adopted = None
