"""Settling: dead letters, acknowledgement and receipts of committed frames, in one atomic step per entry."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

from redis.asyncio import Redis

from tracequeue_worker.dead_letters.fields import Fields, dead_letters
from tracequeue_worker.errors import Fatal, Transient
from tracequeue_worker.lua import load
from tracequeue_worker.records import Stored
from tracequeue_worker.redis_client import script_failure, talking_to
from tracequeue_worker.streams import Membership

CHUNK_ENTRIES: Final = 500
CHUNK_BYTES: Final = 4 * 1024 * 1024
RECEIPT_SECONDS: Final = 86_400
LARGEST_RECEIPT: Final = 2**27
"""Frame numbers beyond get no receipt: a bitmap grows to its highest bit, here 16 MiB, whoever chose the number."""


@dataclass(slots=True)
class Settlement:
    """What became of frames: settled here, not pending any more, or still pending because of a failure."""

    settled: list[Stored] = field(default_factory=list)
    gone: list[Stored] = field(default_factory=list)
    failed: list[Stored] = field(default_factory=list)
    failure: Transient | Fatal | None = None
    """The first of the failures."""

    def sort(self, stored: Stored, outcome: int | bytes) -> None:
        if isinstance(outcome, int):
            (self.settled if outcome else self.gone).append(stored)
            return
        self.failed.append(stored)
        self.failure = self.failure or script_failure(outcome)


@dataclass(frozen=True, slots=True)
class Item:
    """A committed frame and the dead letters it leaves."""

    stored: Stored
    letters: list[Fields]
    size: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one call of the script settles: frames of one stream."""

    stream: bytes
    items: Sequence[Item]


class Settler:
    """Settles frames that are committed. It may be called again with the same frames: the second time does nothing."""

    def __init__(self, client: Redis, membership: Membership) -> None:
        self._client = client
        self._membership = membership
        self._script = client.register_script(load("settle"))

    def chunks(self, stored: Iterable[Stored]) -> Iterator[Chunk]:
        """Frames in the order given within each stream, in pieces that hold the server up for about a millisecond."""
        by_stream = sorted(stored, key=lambda one: one.frame.entry.stream)
        for stream, frames in groupby(by_stream, key=lambda one: one.frame.entry.stream):
            for items in _bounded(map(self._item, frames)):
                yield Chunk(stream, items)

    async def settle(self, chunk: Chunk) -> Settlement:
        """Settle what can be settled. Raises `Transient` or `Fatal` if Redis refuses or is away altogether."""
        keys, arguments = self._call(chunk)
        async with talking_to(self._client):
            outcomes = await self._script(keys=keys, args=arguments)
        settlement = Settlement()
        for item, outcome in zip(chunk.items, outcomes, strict=True):
            settlement.sort(item.stored, outcome)
        return settlement

    def _item(self, stored: Stored) -> Item:
        letters = dead_letters(stored.frame, stored.rejections, self._membership.consumer)
        return Item(stored, letters, sum(len(value) for letter in letters for value in letter.values()))

    def _call(self, chunk: Chunk) -> tuple[list[Any], list[Any]]:
        keys: list[Any] = [chunk.stream, self._membership.dead(chunk.stream), self._membership.tally(chunk.stream)]
        positions: dict[str, int] = {}
        arguments: list[Any] = [self._membership.group, RECEIPT_SECONDS]
        for item in chunk.items:
            frame = item.stored.frame
            position = 0
            if not frame.anonymous and frame.seq < LARGEST_RECEIPT:
                receipts = self._membership.receipts(chunk.stream, frame.emitter_id.hex)
                if receipts not in positions:
                    keys.append(receipts)
                    positions[receipts] = len(keys)
                position = positions[receipts]
            arguments += [
                frame.entry.id,
                item.stored.earlier,
                position,
                frame.seq if position else 0,
                int(_is_repeated(item.stored)),
                len(item.letters),
            ]
            for letter in item.letters:
                arguments.append(2 * len(letter))
                arguments += [part for pair in letter.items() for part in pair]
        return keys, arguments


def _is_repeated(stored: Stored) -> bool:
    """Whether the ledger has another entry for this frame: who counts frames must not miss this one."""
    frame = stored.frame
    conflict = any(one.reason == "seq_conflict" for one in stored.rejections)
    return bool(frame.retry) or conflict or stored.earlier not in (b"", frame.entry.id)


def _bounded(items: Iterable[Item]) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    size = 0
    for item in items:
        if chunk and (len(chunk) == CHUNK_ENTRIES or size + item.size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += item.size
    if chunk:
        yield chunk
