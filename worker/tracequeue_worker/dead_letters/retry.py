"""Sending dead letters again, and learning what became of them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tracequeue.keys import dead_key, events_key
from tracequeue_worker.bounds import place_of
from tracequeue_worker.dead_letters.entry import NotRetried, entry_again
from tracequeue_worker.dead_letters.reader import DeadLetter
from tracequeue_worker.lua import load
from tracequeue_worker.redis_client import script_failure, talking_to
from tracequeue_worker.streams import Membership

POLL_SECONDS = 0.1
PAGE = 50


@dataclass(frozen=True, slots=True)
class Sent:
    """An entry that carries a letter again."""

    letter: DeadLetter
    entry_id: bytes


@dataclass(slots=True)
class Fates:
    """What became of entries: stored, dead again and why, or not known yet."""

    stored: list[Sent] = field(default_factory=list)
    dead: list[tuple[Sent, str]] = field(default_factory=list)
    unknown: list[Sent] = field(default_factory=list)


class Retry:
    """Retries letters, each in one step: whatever happens, there is the letter or the entry, and never neither."""

    def __init__(self, client: Redis, membership: Membership) -> None:
        self._client = client
        self._membership = membership
        self._resend = client.register_script(load("resend"))

    async def send(self, letter: DeadLetter) -> Sent | None:
        """Send it; None if somebody else did. Raises `NotRetried`, `Transient` or `Fatal`: then it is still there."""
        entry = entry_again(letter)
        arguments: list[Any] = [letter.entry_id, *(part for pair in entry.items() for part in pair)]
        async with talking_to(self._client):
            reply = await self._resend(keys=self._keys(letter.partition), args=arguments)
        if isinstance(reply, list):
            raise script_failure(reply[1])
        return Sent(letter, reply) if reply else None

    async def fates(self, sent: Iterable[Sent], *, seconds: float) -> Fates:
        """Wait until it is known of all of them, at most so long. Raises `Transient` or `Fatal`."""
        fates = Fates(unknown=list(sent))
        deadline = time.monotonic() + seconds
        await self._look(fates)
        while fates.unknown and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            await self._look(fates)
        return fates

    async def _look(self, fates: Fates) -> None:
        for sent in list(fates.unknown):
            async with talking_to(self._client):
                if not await self._settled(sent):
                    continue
                error = await self._refused_again(sent)
            fates.unknown.remove(sent)
            if error is None:
                fates.stored.append(sent)
            else:
                fates.dead.append((sent, error))

    async def _settled(self, sent: Sent) -> bool:
        """Delivered, and not pending any more. The dead letters of an entry are there before it is settled."""
        stream, _ = self._keys(sent.letter.partition)
        name = self._membership.group
        try:
            groups = await self._client.xinfo_groups(stream)
            reached = next((one["last-delivered-id"] for one in groups if one["name"] == name.encode()), b"0-0")
            if place_of(reached) < place_of(sent.entry_id):
                return False
            return not await self._client.xpending_range(stream, name, sent.entry_id, sent.entry_id, 1)
        except ResponseError as error:
            if "no such key" in str(error) or str(error).startswith("NOGROUP"):
                return False
            raise

    async def _refused_again(self, sent: Sent) -> str | None:
        """The reason and the error of the entry's own dead letter."""
        _, dead = self._keys(sent.letter.partition)
        start = sent.entry_id.partition(b"-")[0]
        while page := await self._page(dead, start):
            for _, fields in page:
                if fields.get(b"entry") == sent.entry_id:
                    return b": ".join(fields.get(name, b"") for name in (b"reason", b"error")).decode(
                        "utf-8", "replace"
                    )
            start = b"(" + page[-1][0]
        return None

    async def _page(self, dead: str, start: bytes) -> Any:
        return await self._client.xrange(dead, start, "+", count=PAGE)

    def _keys(self, partition: int) -> tuple[str, str]:
        prefix = self._membership.prefix
        return events_key(prefix, partition), dead_key(prefix, partition)


@dataclass(slots=True)
class Campaign:
    """A retry of many letters. The first `canaries` of them must be stored, within `seconds`, before it goes on."""

    retry: Retry
    canaries: int = 0
    seconds: float = 60.0
    sent: int = 0
    gone: int = 0
    """Letters that somebody else took first."""
    stays: Counter[str] = field(default_factory=Counter)
    """Letters that cannot be sent, by the reason why."""
    fates: Fates | None = None
    """Of the canaries."""

    @property
    def failed(self) -> bool:
        """Whether the canaries were not all stored; then the other letters were left."""
        return self.fates is not None and bool(self.fates.dead or self.fates.unknown)

    async def run(self, letters: AsyncIterator[DeadLetter]) -> None:
        """Raises `Transient` or `Fatal`; the counts say how far it came, and it can be done again."""
        first: list[Sent] = []
        async for letter in letters:
            sent = await self._send(letter)
            if sent and len(first) < self.canaries:
                first.append(sent)
                if len(first) == self.canaries:
                    self.fates = await self.retry.fates(first, seconds=self.seconds)
                if self.failed:
                    return
        if first and self.fates is None:
            self.fates = await self.retry.fates(first, seconds=self.seconds)

    async def _send(self, letter: DeadLetter) -> Sent | None:
        try:
            sent = await self.retry.send(letter)
        except NotRetried as why:
            self.stays[str(why)] += 1
            return None
        if sent is None:
            self.gone += 1
        else:
            self.sent += 1
        return sent
