"""The memory of each chat, in Redis where all processes of a deployment see it; one of them has it at a time.

Who has it writes it back when the message is sent, so that one that dies before that leaves all to be told by the next.
"""

import logging
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pydantic import ValidationError
from redis.asyncio import Redis

from tracequeue_worker.alerts.memory import Memory
from tracequeue_worker.lua import load
from tracequeue_worker.redis_client import talking_to

KEPT: Final = timedelta(days=60)
"""What nobody looked at for so long is forgotten."""

log = logging.getLogger(__name__)


def memory_key(prefix: str, chat: int) -> str:
    """The hash of what a chat was told, beside the first partition's streams."""
    return f"{{{prefix}:0}}:alerts:{chat}"


@dataclass(slots=True)
class Claim:
    """The memory of a chat, ours for as long as the lease runs."""

    chat: int
    memory: Memory
    _store: "SharedMemory"

    async def renew(self) -> bool:
        """Whether it is still ours, and then for a whole lease more. Raises `Transient` or `Fatal`."""
        return await self._store.take(self.chat) == self._store.owner

    async def save(self) -> None:
        """Write it back, and let others have it. Raises `Transient` or `Fatal`: then it is written next time."""
        await self._store.save(self)


class SharedMemory:
    """Takes and gives back memories, as one owner."""

    def __init__(self, client: Redis, prefix: str, *, lease: timedelta = timedelta(minutes=1)) -> None:
        self.owner = secrets.token_hex(8)
        self._client = client
        self._prefix = prefix
        self._lease = lease
        self._unsaved: dict[int, Memory] = {}
        """What could not be written back; true for as long as nobody else had it since."""
        self._take = client.register_script(load("alert_take"))
        self._give_back = client.register_script(load("alert_give_back"))

    async def claim(self, chat: int) -> Claim | None:
        """The memory of a chat, unless another process has it. Raises `Transient` or `Fatal`."""
        previous = await self.take(chat)
        if previous is None:
            return None
        unsaved = self._unsaved.pop(chat, None)
        if previous == self.owner and unsaved is not None:
            return Claim(chat, unsaved, self)
        return Claim(chat, await self._read(chat), self)

    async def take(self, chat: int) -> str | None:
        """Who had it before us, empty for nobody; None where it is not to be had now. Raises `Transient` or `Fatal`."""
        async with talking_to(self._client):
            milliseconds = [round(span.total_seconds() * 1000) for span in (self._lease, KEPT)]
            previous = await self._take(keys=[memory_key(self._prefix, chat)], args=[self.owner, *milliseconds])
        return None if previous is None else bytes(previous).decode()

    async def save(self, claim: Claim) -> None:
        self._unsaved[claim.chat] = claim.memory
        async with talking_to(self._client):
            keys = [memory_key(self._prefix, claim.chat)]
            saved = await self._give_back(keys=keys, args=[self.owner, claim.memory.model_dump_json()])
        del self._unsaved[claim.chat]
        if not saved:
            log.warning("alerts of chat %d: another process took over meanwhile, and may tell the same", claim.chat)

    async def _read(self, chat: int) -> Memory:
        async with talking_to(self._client):
            (text,) = await self._client.hmget(memory_key(self._prefix, chat), ["memory"])
        try:
            return Memory.model_validate_json(text) if text else Memory()
        except ValidationError:
            log.warning("alerts of chat %d: what it was told cannot be read, and may be told again", chat)
            return Memory()
