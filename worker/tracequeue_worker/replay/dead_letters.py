"""The dead letters as a source: each is the event or the frame that was refused, to be tried again elsewhere."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

from redis.asyncio import Redis

from tracequeue.keys import dead_key, events_key
from tracequeue_worker.bounds import Bounds, is_entry_id
from tracequeue_worker.dead_letters.entry import NotRetried, entry_again
from tracequeue_worker.dead_letters.reader import DeadLetter, DeadLetters
from tracequeue_worker.preflight import address_of
from tracequeue_worker.records import Entry
from tracequeue_worker.replay.selection import EVERYTHING
from tracequeue_worker.replay.source import Part, Taken
from tracequeue_worker.streams import Membership

AFTERWARDS: Final = (
    "the dead letters are still there: if workers fill this database, `tracequeue dlq retry --all` takes those away "
    "whose events are stored now, and leaves the others"
)
"""What to do when they are replayed. A retry stores nothing twice."""


class DeadLetterSource:
    """Every letter comes as a retry of what it holds, so a frame of which other events are stored loses none of them.

    Bounds are of the entry that was refused, not of the letter. Letters stay where they are.
    """

    def __init__(self, client: Redis, url: str, membership: Membership, bounds: Bounds = EVERYTHING) -> None:
        self.name = f"dead letters of {membership.prefix} in Redis at {address_of(url)}"
        self._letters = DeadLetters(client, membership)
        self._prefix = membership.prefix
        self._bounds = bounds
        self._partitions: dict[str, tuple[int, str]] = {}
        """Part -> partition, and its newest letter when the replay began."""

    async def parts(self) -> list[Part]:
        """The partitions. Raises `Transient` or `Fatal`."""
        return [await self._part(partition) for partition in self._letters.partitions]

    async def read(self, part: Part, after: str | None) -> AsyncIterator[Taken]:
        """The letters behind one that can be tried again. Raises `Transient` or `Fatal`."""
        size = 0
        async for letter in self._between(part.key, after):
            size += 1
            if isinstance(entry := self._entry(letter), Entry):
                yield Taken(entry, letter.entry_id, size)
                size = 0

    async def shortfalls(self) -> list[str]:
        """What the letters do not hold, looked up in all of them: an interrupted replay may have read some before."""
        reasons: Counter[str] = Counter()
        for key in self._partitions:
            async for letter in self._between(key, None):
                if isinstance(why := self._entry(letter), NotRetried):
                    reasons[str(why)] += 1
        return [
            f"{count} dead letter{'s' * (count > 1)} cannot be replayed: {why}" for why, count in reasons.most_common()
        ]

    async def _part(self, partition: int) -> Part:
        key = dead_key(self._prefix, partition)
        self._partitions.setdefault(key, (partition, await self._letters.last(partition)))
        return Part(key, await self._letters.count(partition))

    def _between(self, key: str, after: str | None) -> AsyncIterator[DeadLetter]:
        partition, last = self._partitions[key]
        return self._letters.between(partition, after, last)

    def _entry(self, letter: DeadLetter) -> Entry | NotRetried | None:
        """None where the letter is out of bounds."""
        refused = _refused(letter)
        if not self._bounds.holds(refused):
            return None
        stream = events_key(self._prefix, letter.partition).encode()
        try:
            return Entry(stream, letter.partition, refused, entry_again(letter))
        except NotRetried as why:
            return why


def _refused(letter: DeadLetter) -> bytes:
    """The id of the entry that was refused; where the letter does not say it, its own, which is not much later."""
    entry_id = str(letter.facts.get("entry", "")).encode()
    return entry_id if is_entry_id(entry_id) else letter.entry_id.encode()
