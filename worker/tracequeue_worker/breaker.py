"""The breaker: a producer whose records the store refuses again and again is held, until a probe of it is stored.

A frame that is held stays pending under our name; only its id is kept in memory. A probe is one held frame, now and
then: while the store refuses anything in it, it stays held; once it is stored, all that was held comes back.
"""

import logging
import random
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from tracequeue_worker.backoff import Backoff
from tracequeue_worker.records import DecodedFrame, Place, Rejection, Stored
from tracequeue_worker.refusals import Refusals, refused_by_store

FIRST_PROBE_SECONDS: Final = 1.0
LONGEST_PROBE_SECONDS: Final = 60.0
MOST_HISTORIES: Final = 10_000
"""Producers with refusals of late that are remembered: a hostile one may take a new name for each frame."""
BROUGHT_AT_ONCE: Final = 20
"""Frames that come back between two reads, so that other producers are read meanwhile."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A producer that is held: the id of an emitter, or the stream of those who give none."""

    producer: str
    service: str | None
    reason: str
    since: datetime
    frames: int


@dataclass(slots=True)
class Hold:
    """The frames of one producer that is held, and which of them is on its way as a probe."""

    service: str | None
    reason: str
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    places: list[Place] = field(default_factory=list)
    probe: Place | None = None
    _news: bool = False
    _pauses: Backoff = field(default_factory=lambda: Backoff(FIRST_PROBE_SECONDS, LONGEST_PROBE_SECONDS))
    _next_probe: float = 0.0

    @property
    def due(self) -> bool:
        return self.probe is None and time.monotonic() >= self._next_probe

    def add(self, place: Place) -> None:
        self.places.append(place)
        self._news = True

    def take_probe(self) -> Place:
        """The newest frame if one came since the last probe: it tells how the producer is now. Else any."""
        chosen = len(self.places) - 1 if self._news else random.randrange(len(self.places))  # noqa: S311
        self._news = False
        self.probe = self.places.pop(chosen)
        return self.probe

    def back(self, place: Place) -> None:
        """A frame that was not stored: the probe, or one that was on its way when the hold was made."""
        if self.probe == place:
            self.places.insert(0, place)
            self.pause()
        else:
            self.places.append(place)

    def pause(self) -> None:
        self.probe = None
        self._next_probe = time.monotonic() + self._pauses.pause()


class Breaker:
    """Knows which producers are held. Frames with nothing for the store, and those that are retried, never are."""

    def __init__(self) -> None:
        self._histories: dict[str, Refusals] = {}
        self._reasons: dict[str, str] = {}
        self._holds: dict[str, Hold] = {}
        self._returning: dict[str, list[Place]] = {}

    def held(self) -> list[Held]:
        """The producers that are held now."""
        return [
            Held(producer, hold.service, hold.reason, hold.since, len(hold.places) + (hold.probe is not None))
            for producer, hold in self._holds.items()
        ]

    @property
    def waiting(self) -> int:
        """How many frames are held. Probes that are on their way, and frames that come back, are not among them."""
        return sum(len(hold.places) for hold in self._holds.values())

    def admitted(self, frames: Iterable[DecodedFrame]) -> list[DecodedFrame]:
        """The frames that may be written; the others are held from now on."""
        return [frame for frame in frames if not self._keeps(frame)]

    def together(self, frames: Sequence[DecodedFrame]) -> int:
        """How many of the first frames are written at once: a probe is written alone."""
        probe = next((number for number, frame in enumerate(frames) if self._is_probe(frame)), len(frames))
        return probe or 1

    def left_out(self, frames: Sequence[DecodedFrame]) -> set[int]:
        """Asked before the commit, with the rejections known so far: the numbers of frames that must not be stored,
        because they are to be held. The frame that goes past the limit is stored still."""
        histories: dict[str, Refusals] = {}
        numbers = set()
        for number, frame in enumerate(frames):
            if not _counts(frame):
                continue
            producer = producer_of(frame)
            refusals = refused_by_store(frame.rejections)
            if producer not in histories:
                histories[producer] = self._histories[producer].copy() if producer in self._histories else Refusals()
            history = histories[producer]
            if history.too_many:
                self._reasons[producer] = str(history)
            if history.too_many or (refusals and producer in self._holds):
                numbers.add(number)
            else:
                history.add(frame, refusals)
        return numbers

    def learn(self, frames: Iterable[DecodedFrame], stored: Iterable[Stored]) -> None:
        """What became of frames that were written; those that are not stored were left out."""
        outcomes = {id(one.frame): one for one in stored}
        for frame in frames:
            outcome = outcomes.get(id(frame))
            if outcome is None:
                self._hold(frame)
            elif self._is_probe(frame):
                self._probed(frame, outcome)
            elif _counts(frame) and not outcome.known:
                self._count(frame, outcome.rejections)

    def wanted(self) -> list[Place]:
        """The frames to be brought here now: probes that are due, and some of those that come back."""
        for producer in [producer for producer, hold in self._holds.items() if not hold.places and not hold.probe]:
            del self._holds[producer]
        due = (hold.take_probe() for hold in self._holds.values() if hold.due)
        return [*islice(due, BROUGHT_AT_ONCE), *self._some_returning()]

    def gone(self, places: Collection[Place]) -> None:
        """Frames that were wanted and are not ours any more."""
        for hold in self._holds.values():
            if hold.probe in places:
                hold.probe = None

    def _is_probe(self, frame: DecodedFrame) -> bool:
        hold = self._holds.get(producer_of(frame))
        return hold is not None and hold.probe == frame.entry.place

    def _keeps(self, frame: DecodedFrame) -> bool:
        hold = self._holds.get(producer_of(frame))
        if hold is None or not _counts(frame) or hold.probe == frame.entry.place:
            return False
        hold.add(frame.entry.place)
        return True

    def _hold(self, frame: DecodedFrame) -> None:
        producer = producer_of(frame)
        if producer not in self._holds:
            self._open(producer, frame)
        self._holds[producer].back(frame.entry.place)

    def _open(self, producer: str, frame: DecodedFrame) -> None:
        service = frame.meta.get("service")
        hold = Hold(service if isinstance(service, str) else None, self._reasons.pop(producer))
        self._histories.pop(producer, None)
        hold.places.extend(self._returning.pop(producer, ()))
        hold.pause()
        self._holds[producer] = hold
        log.error(
            "held: producer %s (%s): %s; its frames stay pending and become no dead letters, one is tried now and then",
            producer,
            hold.service,
            hold.reason,
        )

    def _probed(self, frame: DecodedFrame, outcome: Stored) -> None:
        """A frame that was stored before, or that uses a number again, says nothing about the store."""
        producer = producer_of(frame)
        hold = self._holds[producer]
        if outcome.known or not _counts(frame) or any(one.index is None for one in outcome.rejections):
            hold.pause()
            return
        del self._holds[producer]
        self._returning[producer] = hold.places
        log.warning("released: producer %s: a probe was stored, %d held frames follow", producer, len(hold.places))

    def _count(self, frame: DecodedFrame, rejections: Iterable[Rejection]) -> None:
        producer = producer_of(frame)
        refusals = refused_by_store(rejections)
        if not refusals and producer not in self._histories:
            return
        history = self._histories.setdefault(producer, Refusals())
        history.add(frame, refusals)
        if not history.refused:
            del self._histories[producer]
        elif len(self._histories) > MOST_HISTORIES:
            del self._histories[next(iter(self._histories))]

    def _some_returning(self) -> list[Place]:
        """The newest first: where it was the producer that was mended, it is the oldest that are refused again."""
        for producer, places in self._returning.items():
            some = [places.pop() for _ in range(min(BROUGHT_AT_ONCE, len(places)))]
            if not places:
                del self._returning[producer]
            return some
        return []


def producer_of(frame: DecodedFrame) -> str:
    """Who is counted: an emitter, or all of a stream that do not say who they are."""
    return frame.entry.stream.decode("utf-8", "replace") if frame.anonymous else frame.emitter_id.hex


def _counts(frame: DecodedFrame) -> bool:
    return not frame.retry and bool(frame.rows or refused_by_store(frame.rejections))
