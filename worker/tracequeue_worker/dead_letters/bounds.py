"""Bounds of the dead-letter streams, by bytes and by age. What goes is said, and before that it is said loudly."""

import logging
from collections import Counter
from typing import Any, Final

from redis.asyncio import Redis

from tracequeue_worker.lua import load
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

AT_ONCE: Final = 500
WARNED_AT: Final = 0.8
CURE: Final = "keep them with `tracequeue dlq export FILE`, then `tracequeue dlq retry` or `tracequeue dlq drop`"
DAY: Final = 86_400

log = logging.getLogger(__name__)


class DeadLetterBounds:
    """The oldest letters go first. `dropped` counts them; the ledger still knows which events they were."""

    def __init__(self, client: Redis, membership: Membership, *, most_bytes: int, most_seconds: int) -> None:
        self.dropped = 0
        self._client = client
        self._keys = [membership.dead(stream) for stream in membership.streams]
        self._most_bytes = most_bytes
        self._most_seconds = most_seconds
        self._warned: set[str] = set()
        self._script = client.register_script(load("trim_dead"))

    async def enforce(self) -> None:
        """Look at every dead-letter stream, and drop what is too much. Raises `Transient` or `Fatal`."""
        for key in self._keys:
            await self._enforce(key)

    async def _enforce(self, key: str) -> None:
        gone: Counter[str] = Counter()
        while True:
            used, age, dropped = await self._call(key)
            gone.update(dropped)
            if not dropped:
                break
        self._warn(key, used, age)
        if gone:
            self.dropped += gone.total()
            reasons = ", ".join(f"{count} {reason}" for reason, count in gone.most_common())
            log.error(
                "%d dead letters of %s were dropped, they were too old or too many: %s", gone.total(), key, reasons
            )

    async def _call(self, key: str) -> tuple[int, int, dict[str, int]]:
        async with talking_to(self._client):
            reply: list[Any] = await self._script(keys=[key], args=[self._most_bytes, self._most_seconds, AT_ONCE])
        used, age, *found = reply
        reasons = (reason.decode("utf-8", "backslashreplace") for reason in found[::2])
        return used, age, dict(zip(reasons, found[1::2], strict=True))

    def _warn(self, key: str, used: int, age: int) -> None:
        """Once, until there is room again."""
        near = used > self._most_bytes * WARNED_AT or age > self._most_seconds * WARNED_AT
        if near and key not in self._warned:
            log.warning(
                "the dead letters of %s use %.1f of %.1f MiB, the oldest is %.1f days old and goes after %.1f: %s",
                key, used / 2**20, self._most_bytes / 2**20, age / DAY, self._most_seconds / DAY, CURE,
            )  # fmt: skip
        if near:
            self._warned.add(key)
        else:
            self._warned.discard(key)
