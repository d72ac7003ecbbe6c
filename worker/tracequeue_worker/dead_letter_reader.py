"""Reading the dead-letter streams: grouped by reason and by what the errors have in common, or one whole."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

from redis.asyncio import Redis

from tracequeue.errors import FrameRejected
from tracequeue.frame import unpack
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

PAGE = 50
"""Letters per command: each may hold 4 MiB."""
ORIGINAL = b"field:"
NUMBERS = {"size", "index", "seq", "deliveries", "first_seen"}
VARYING = re.compile(r"""'[^']*'|"[^"]*"|\b[0-9a-fA-F]{8}[0-9a-fA-F-]*\b|\d+(?:\.\d+)?""")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One letter. `id` is its entry in the dead-letter stream, with `partition:` before it where there are several."""

    id: str
    facts: dict[str, str | int]
    raw: bytes
    fields: dict[bytes, bytes] = field(repr=False)
    """The other fields of the original entry, where the whole frame was refused."""

    @property
    def reason(self) -> str:
        return str(self.facts.get("reason", ""))

    @property
    def error(self) -> str:
        return str(self.facts.get("error", ""))

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

    reason: str
    error: str
    count: int = 0
    first: str = ""
    last: str = ""
    emitters: set[str] = field(default_factory=set)


class DeadLetters:
    """The dead letters of all partitions."""

    def __init__(self, client: Redis, membership: Membership) -> None:
        self._client = client
        self._keys = {partition: membership.dead(stream) for stream, partition in membership.partitions.items()}

    async def groups(self) -> list[Group]:
        """All letters, grouped, the most frequent first. Raises `Transient` or `Fatal`."""
        groups: dict[tuple[str, str], Group] = {}
        async for letter in self.all():
            key = (letter.reason, VARYING.sub("…", letter.error))
            group = groups.setdefault(key, Group(*key, first=letter.id))
            group.count += 1
            group.last = letter.id
            if "src" in letter.facts:
                group.emitters.add(str(letter.facts["src"]))
        return sorted(groups.values(), key=lambda group: -group.count)

    async def all(self) -> AsyncIterator[DeadLetter]:
        """Every letter, oldest first within a partition."""
        for partition, key in self._keys.items():
            start = "-"
            while page := await self._page(key, start):
                for entry_id, fields in page:
                    yield self._letter(partition, entry_id, fields)
                start = f"({page[-1][0].decode()}"

    async def get(self, letter_id: str) -> DeadLetter | None:
        """One letter by its id, or None."""
        partition, _, entry_id = letter_id.rpartition(":")
        key = self._keys.get(int(partition or 0))
        if key is None:
            return None
        async with talking_to(self._client):
            found: Any = await self._client.xrange(key, entry_id, entry_id)
        return self._letter(int(partition or 0), *found[0]) if found else None

    async def _page(self, key: str, start: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        async with talking_to(self._client):
            page: Any = await self._client.xrange(key, start, "+", count=PAGE)
            return cast("list[tuple[bytes, dict[bytes, bytes]]]", page)

    def _letter(self, partition: int, entry_id: bytes, fields: dict[bytes, bytes]) -> DeadLetter:
        several = len(self._keys) > 1
        own = {
            name.decode("utf-8", "replace"): value for name, value in fields.items() if not name.startswith(ORIGINAL)
        }
        raw = own.pop("raw", b"")
        return DeadLetter(
            f"{partition}:{entry_id.decode()}" if several else entry_id.decode(),
            {name: _fact(name, value) for name, value in own.items()},
            raw,
            {name.removeprefix(ORIGINAL): value for name, value in fields.items() if name.startswith(ORIGINAL)},
        )


def _fact(name: str, value: bytes) -> str | int:
    if name in NUMBERS and value.isdigit():
        return int(value)
    return value.decode("utf-8", "backslashreplace")
