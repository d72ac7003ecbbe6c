"""Reading the dead-letter streams: grouped by reason and by what the errors have in common, some, or one whole."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, cast

from redis.asyncio import Redis

from tracequeue.errors import FrameRejected
from tracequeue.frame import unpack
from tracequeue_worker.dead_letters.hidden import without_secrets
from tracequeue_worker.error_patterns import pattern_of
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

PAGE = 50
"""Letters per command: each may hold 4 MiB."""
DELETED_AT_ONCE = 500
ORIGINAL = b"field:"
NUMBERS = {"size", "index", "seq", "deliveries", "first_seen", "retries"}
NAMES = {"reason", "stream", "entry", "src", "frame", "worker", "resendable"}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One letter. `id` is its entry in the dead-letter stream, with `partition:` before it where there are several.

    `facts` are without secrets; `raw` and `fields` are the original bytes.
    """

    id: str
    partition: int
    facts: dict[str, str | int]
    raw: bytes
    fields: dict[bytes, bytes] = field(repr=False)
    """The other fields of the original entry, where the whole frame was refused."""

    @property
    def entry_id(self) -> str:
        """In the dead-letter stream."""
        return self.id.rpartition(":")[2]

    @property
    def reason(self) -> str:
        return str(self.facts.get("reason", ""))

    @property
    def error(self) -> str:
        return str(self.facts.get("error", ""))

    @property
    def pattern(self) -> str:
        """The error without names and numbers: what it has in common with others."""
        return pattern_of(self.error)

    @property
    def group(self) -> str:
        """The id of its group: always the same for the same reason and pattern."""
        return blake2b(f"{self.reason}\0{self.pattern}".encode("utf-8", "replace"), digest_size=4).hexdigest()

    def content(self) -> str:
        """The original, decoded as far as possible: the lines of a frame, or one event."""
        body = self.raw
        if b"enc" in self.fields:
            try:
                body = unpack({b"body": self.raw, b"enc": self.fields[b"enc"]}).body
            except FrameRejected:
                return repr(self.raw)
        return body.decode("utf-8", "backslashreplace")


@dataclass(slots=True)
class Group:
    """Letters with the same reason and the same error but for names and numbers."""

    id: str
    reason: str
    error: str
    count: int = 0
    first: str = ""
    last: str = ""
    emitters: set[str] = field(default_factory=set)

    def add(self, letter: DeadLetter) -> None:
        self.count += 1
        self.first = self.first or letter.id
        self.last = letter.id
        if "src" in letter.facts:
            self.emitters.add(str(letter.facts["src"]))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant: one, a group, those of a reason, or with nothing given all."""

    letter_id: str | None = None
    group: str | None = None
    reason: str | None = None

    def holds(self, letter: DeadLetter) -> bool:
        return self.group in (None, letter.group) and self.reason in (None, letter.reason)


class Groups:
    """Letters on their way into groups."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def add(self, letter: DeadLetter) -> None:
        group = self._groups.setdefault(letter.group, Group(letter.group, letter.reason, letter.pattern))
        group.add(letter)

    def most_frequent(self) -> list[Group]:
        """The largest first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)


class DeadLetters:
    """The dead letters of all partitions."""

    def __init__(self, client: Redis, membership: Membership, *, page: int = PAGE) -> None:
        """`page` letters are in memory at a time."""
        self._client = client
        self._count = page
        self._keys = {partition: membership.dead(stream) for stream, partition in membership.partitions.items()}

    async def groups(self) -> list[Group]:
        """All letters, grouped, the most frequent first. Raises `Transient` or `Fatal`."""
        groups = Groups()
        async for letter in self.all():
            groups.add(letter)
        return groups.most_frequent()

    async def all(self) -> AsyncIterator[DeadLetter]:
        """Every letter that is there now, oldest first within a partition; none that is written meanwhile."""
        last = {partition: await self.last(partition) for partition in self.partitions}
        for partition in self.partitions:
            async for letter in self.between(partition, None, last[partition]):
                yield letter

    @property
    def partitions(self) -> list[int]:
        return list(self._keys)

    async def count(self, partition: int) -> int:
        """How many letters there are."""
        async with talking_to(self._client):
            return int(await self._client.xlen(self._keys[partition]))

    async def last(self, partition: int) -> str:
        """The entry id of the newest letter; where there is none, one that no letter has."""
        async with talking_to(self._client):
            newest: Any = await self._client.xrevrange(self._keys[partition], count=1)
        return newest[0][0].decode() if newest else "0-0"

    async def between(self, partition: int, after: str | None, last: str) -> AsyncIterator[DeadLetter]:
        """Letters behind one entry id up to another, with this, oldest first."""
        start = "-" if after is None else f"({after}"
        while page := await self._page(self._keys[partition], start, last):
            for entry_id, fields in page:
                yield self._letter(partition, entry_id, fields)
            start = f"({page[-1][0].decode()}"

    async def chosen(self, selection: Selection) -> AsyncIterator[DeadLetter]:
        """The letters of a selection, as `all` gives them."""
        if selection.letter_id is not None:
            letter = await self.get(selection.letter_id)
            if letter is not None:
                yield letter
            return
        async for letter in self.all():
            if selection.holds(letter):
                yield letter

    async def get(self, letter_id: str) -> DeadLetter | None:
        """One letter by its id, or None."""
        partition, _, entry_id = letter_id.rpartition(":")
        key = self._keys.get(int(partition or 0))
        if key is None:
            return None
        async with talking_to(self._client):
            found: Any = await self._client.xrange(key, entry_id, entry_id)
        return self._letter(int(partition or 0), *found[0]) if found else None

    async def delete(self, partition: int, entry_ids: Sequence[str]) -> int:
        """Delete letters for good; how many were still there."""
        deleted = 0
        for start in range(0, len(entry_ids), DELETED_AT_ONCE):
            async with talking_to(self._client):
                ids = entry_ids[start : start + DELETED_AT_ONCE]
                deleted += await self._client.xdel(self._keys[partition], *ids)
        return deleted

    async def _page(self, key: str, start: str, end: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        async with talking_to(self._client):
            page: Any = await self._client.xrange(key, start, end, count=self._count)
            return cast("list[tuple[bytes, dict[bytes, bytes]]]", page)

    def _letter(self, partition: int, entry_id: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
        place = f"{partition}:" if len(self._keys) > 1 else ""
        return letter_of(place + entry_id.decode(), partition, fields)


def letter_of(letter_id: str, partition: int, fields: Mapping[bytes, bytes]) -> DeadLetter:
    """The letter of the fields of an entry of a dead-letter stream, whatever they are."""
    own = {name.decode("utf-8", "replace"): value for name, value in fields.items() if not name.startswith(ORIGINAL)}
    raw = own.pop("raw", b"")
    original = {name.removeprefix(ORIGINAL): value for name, value in fields.items() if name.startswith(ORIGINAL)}
    return DeadLetter(letter_id, partition, {name: _fact(name, value) for name, value in own.items()}, raw, original)


def _fact(name: str, value: bytes) -> str | int:
    if name in NUMBERS and value.isdigit():
        return int(value)
    text = value.decode("utf-8", "backslashreplace")
    return text if name in NAMES else without_secrets(text)
