"""Frames on their way to the store, on disk or in the streams, added up per emitter."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

import orjson

from tracequeue.errors import FrameRejected
from tracequeue.frame import MAX_EVENTS, Account, account_of, identity
from tracequeue_worker.audit.frame_numbers import FrameNumbers
from tracequeue_worker.foreign import clean

Place: TypeAlias = Literal["disk", "stream"]
PLACES: Final[tuple[Place, Place]] = ("disk", "stream")


class WaitingFrame(NamedTuple):
    """A frame that is not settled. `seen_ms` is when Redis took it, 0 where it did not yet."""

    place: Place
    partition: int
    fields: Mapping[bytes, bytes]
    seen_ms: int

    @property
    def events(self) -> int:
        count = self.fields.get(b"n", b"")
        return min(int(count), MAX_EVENTS) if count.isdigit() and len(count) < 6 else 0


@dataclass(slots=True)
class WaitingFrames:
    """What waits of one emitter, and what it said of itself in these frames."""

    meta: Mapping[str, Any] = field(default_factory=dict)
    account: Account = field(default_factory=Account)
    seen_ms: int = 0
    events: dict[Place, int] = field(default_factory=lambda: {"disk": 0, "stream": 0})
    numbers: defaultdict[tuple[Place, int], FrameNumbers] = field(default_factory=lambda: defaultdict(FrameNumbers))

    def add(self, frame: WaitingFrame, seq: int, pruned: FrameNumbers | None = None) -> None:
        """Count a frame once: it may lie on disk and in the stream, or twice in the stream. What is pruned from the
        ledger is stored."""
        self.seen_ms = max(self.seen_ms, frame.seen_ms)
        self.meta = self.meta or _meta(frame.fields)
        self.account = _merged(self.account, frame.fields)
        if (pruned and seq in pruned) or any(seq in self.numbers[place, frame.partition] for place in PLACES):
            return
        self.numbers[frame.place, frame.partition].add(seq)
        self.events[frame.place] += frame.events


async def add_up(
    frames: AsyncIterator[WaitingFrame], only: UUID | None, pruned: Mapping[tuple[UUID, int], FrameNumbers]
) -> dict[UUID | None, WaitingFrames]:
    """By emitter. Frames without one, or without a readable one, are under None."""
    found: defaultdict[UUID | None, WaitingFrames] = defaultdict(WaitingFrames)
    async for frame in frames:
        try:
            emitter_id, seq = identity(frame.fields)
        except FrameRejected:
            emitter_id, seq = None, 0
        if only is not None and emitter_id != only:
            continue
        if emitter_id is None:
            found[None].events[frame.place] += frame.events
        else:
            found[emitter_id].add(frame, seq, pruned.get((emitter_id, frame.partition)))
    return dict(found)


def ranges(waiting: Mapping[UUID | None, WaitingFrames]) -> Iterator[tuple[UUID, Place, int, int, int]]:
    """Emitter, place, partition, and the first and last number of each range."""
    for emitter_id, frames in waiting.items():
        if emitter_id is not None:
            for (place, partition), numbers in frames.numbers.items():
                for first, last in numbers:
                    yield emitter_id, place, partition, first, last


def _merged(account: Account, fields: Mapping[bytes, bytes]) -> Account:
    try:
        said = account_of(fields)
    except FrameRejected:
        return account
    # Cumulative, and each a snapshot of one moment: the one that dropped more is the later one.
    lost = max(account.lost, clean(said.lost), key=lambda counts: sum(counts.values()))
    return Account(max(account.emitted, said.emitted), lost, max(account.spooled, said.spooled))


def _meta(fields: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    try:
        meta = clean(orjson.loads(fields.get(b"meta") or b"{}"))
    except (orjson.JSONDecodeError, RecursionError):
        return {}
    return meta if isinstance(meta, dict) else {}
