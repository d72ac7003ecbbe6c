"""Watches for entries that somebody else took out of the streams; the reckoning is done in Redis, by `lua/look.lua`."""

import logging
import secrets
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from tracequeue_worker.lease import InFlight
from tracequeue_worker.losses import Losses, Reason
from tracequeue_worker.lua import load
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

COUNTED_AT_MOST: Final = 5_000
"""Entries, where only counting tells how many are unread: about ten milliseconds of the server's time."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Glance:
    """What a worker remembers of its last look at a stream, for a server that loses its own memory of it."""

    epoch: str = ""
    added: int = 0
    unread: int = 0
    taken: int = 0


class LossWatch:
    """Every entry ever added is settled, pending, or unread and there; what is not is lost, and counted once."""

    def __init__(self, client: Redis, membership: Membership, in_flight: InFlight, losses: Losses) -> None:
        self._client = client
        self._membership = membership
        self._in_flight = in_flight
        self._losses = losses
        self._glances: dict[bytes, Glance] = {}
        self._script = client.register_script(load("stream_facts", "look"))
        self._blind = False

    async def look(self) -> None:
        """Look at every stream once. Raises `Transient` or `Fatal`."""
        for stream in self._membership.streams:
            glance = self._glances.get(stream, Glance())
            taken = self._in_flight.taken(stream)
            unread = max(0, glance.unread - (taken - glance.taken))
            reply = await self._look(stream, glance, unread)
            if reply:
                self._glances[stream] = Glance(reply[0].decode(), reply[1], reply[2], taken)
                self._count(stream, reply[3:])
            else:
                self._say_blind()

    async def _look(self, stream: bytes, glance: Glance, unread: int) -> list[Any]:
        keys: list[Any] = [stream, self._membership.tally(stream)]
        arguments: list[Any] = [
            self._membership.group, secrets.token_hex(8), glance.epoch, glance.added, unread, COUNTED_AT_MOST,
        ]  # fmt: skip
        async with talking_to(self._client):
            reply: list[Any] = await self._script(keys=keys, args=arguments)
        return reply

    def _count(self, stream: bytes, found: list[Any]) -> None:
        for reason, frames in zip(found[::2], found[1::2], strict=True):
            kind: Reason = reason.decode()
            self._losses.add(stream.decode(), kind, frames)

    def _say_blind(self) -> None:
        if not self._blind:
            log.warning(
                "this Redis cannot tell when others trim unread frames: use 7.0 or later; the frame numbers of each "
                "emitter still show it: `tracequeue audit`"
            )
        self._blind = True
