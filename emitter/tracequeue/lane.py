"""A partition on its way out: buffer -> numbered frames -> outbox. No I/O happens here."""

import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from uuid import uuid4

import orjson

from tracequeue.buffer import Buffer, Chunk
from tracequeue.frame import pack
from tracequeue.keys import events_key
from tracequeue.redaction import redact
from tracequeue.settings import EmitterSettings

logger = logging.getLogger("tracequeue")


@cache
def _version() -> str:
    return version("tracequeue")


class Identity:
    """Who emits: an id for one process life (a fork is a new one), and the `meta` that every frame carries."""

    def __init__(self, settings: EmitterSettings) -> None:
        self.emitter_id = uuid4().hex
        self.meta = orjson.dumps(
            {
                "service": settings.service,
                "environment": settings.environment,
                "release": settings.release,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "started_at": datetime.now(UTC).isoformat(),
                "version": _version(),
            }
        )


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A frame that Redis has not accepted yet. `first` is the number of its first event in this lane, from 0."""

    key: str
    seq: int
    first: int
    events: int
    fields: dict[bytes, bytes]


class Lane:
    """Makes frames of one partition's chunks and keeps them until Redis has accepted them."""

    def __init__(
        self,
        partition: int,
        settings: EmitterSettings,
        identity: Identity,
        buffer: Buffer,
        account: Callable[[], bytes],
    ) -> None:
        self.partition = partition
        self.buffer = buffer
        self.outbox: deque[Outgoing] = deque()
        self.seq = 0
        self._key = events_key(settings.prefix, partition)
        self._settings = settings
        self._identity = identity
        self._account = account
        self._taken = 0
        self.refused = False
        """Whether Redis refused this lane's frames the last time: then one of them is tried, not all."""
        self.published = 0

    def fill(self, room: int, *, partial: bool) -> None:
        """Turn waiting chunks into frames until the outbox holds `room`. `partial` takes the open chunk too."""
        while len(self.outbox) < room and (chunk := self.buffer.take(partial=partial)):
            try:
                body = redact(chunk.text(), self._settings.redactor)
                self._add(body, chunk.events)
            except Exception:
                self._give_up(chunk)
            self.buffer.recycle(chunk)

    def mark(self) -> None:
        """A frame of no events: it carries the account and shows that this emitter lives, or how it ended."""
        self._add(b"", 0)

    def due(self) -> list[Outgoing]:
        """The frames to send now."""
        return [self.outbox[0]] if self.refused and self.outbox else list(self.outbox)

    def accepted(self, frame: Outgoing) -> None:
        self.outbox.remove(frame)
        self.published += frame.events

    def waiting(self) -> int:
        """Events that Redis does not hold yet."""
        return self.buffer.counts()[2] + sum(frame.events for frame in self.outbox)

    def handed_over(self) -> int:
        """How many events this lane took in so far: a mark for `delivered`."""
        emitted, lost, _ = self.buffer.counts()
        return emitted - sum(lost.values())

    def delivered(self, mark: int) -> bool:
        """Whether Redis has accepted all events before the mark."""
        first_missing = self.outbox[0].first if self.outbox else self._taken
        return first_missing >= mark

    def _add(self, body: bytes, events: int) -> None:
        fields = pack(
            body,
            events,
            emitter_id=self._identity.emitter_id,
            seq=self.seq + 1,
            account=self._account(),
            meta=self._identity.meta,
            compress=self._settings.compression,
        )
        self.seq += 1
        self.outbox.append(Outgoing(self._key, self.seq, self._taken, events, fields))
        self._taken += events

    def _give_up(self, chunk: Chunk) -> None:
        logger.exception("tracequeue could not frame %d events; they are counted as dropped (internal)", chunk.events)
        self.buffer.count_lost("internal", chunk.events)
