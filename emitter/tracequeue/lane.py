"""A partition on its way out: buffer -> numbered frames -> outbox, and from there to Redis or to the disk."""

import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from uuid import uuid4

import orjson

from tracequeue.buffer import Buffer, Chunk
from tracequeue.frame import pack
from tracequeue.keys import events_key
from tracequeue.outgoing import Outgoing
from tracequeue.redaction import redact
from tracequeue.settings import EmitterSettings
from tracequeue.spool import Shelf

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


class Lane:
    """Makes frames of one partition's chunks and keeps them until Redis has accepted them."""

    def __init__(
        self,
        partition: int,
        settings: EmitterSettings,
        identity: Identity,
        buffer: Buffer,
        account: Callable[[], bytes],
        shelf: Shelf | None = None,
    ) -> None:
        self.partition = partition
        self.key = events_key(settings.prefix, partition)
        self.buffer = buffer
        self.shelf = shelf
        self.outbox: deque[Outgoing] = deque()
        self.seq = 0
        self.published = 0
        self._settings = settings
        self._identity = identity
        self._account = account
        self._taken = 0

    def fill(self, room: int, *, partial: bool) -> None:
        """Turn waiting chunks into frames until the outbox holds `room`. `partial`: the open one where none is full."""
        while len(self.outbox) < room and (chunk := self.buffer.take(partial=partial)):
            partial = False  # what is behind a chunk, or comes meanwhile, waits for company too
            try:
                body = redact(chunk.text(), self._settings.redactor)
                self._add(body, chunk.events)
            except Exception:
                self._give_up(chunk)
            self.buffer.recycle(chunk)

    def mark(self) -> None:
        """A frame of no events: it carries the account and shows that this emitter lives, or how it ended."""
        self._add(b"", 0)

    def accepted(self, frame: Outgoing) -> None:
        """Redis holds it. A frame that went to disk meanwhile counts when it is sent from there."""
        if frame in self.outbox:
            self.outbox.remove(frame)
            self.published += frame.events

    def stow(self) -> bool:
        """Put on disk what is in memory. False where some of it stays."""
        while self.shelf is not None:
            self.fill(1, partial=True)
            if not self.outbox:
                return True
            if not self.shelf.put(self.outbox[0]):
                return False
            self.outbox.popleft()
        return not self.in_memory()

    def in_memory(self) -> int:
        """Events that neither Redis nor the disk holds."""
        return self.buffer.counts()[2] + sum(frame.events for frame in self.outbox)

    def handed_over(self) -> int:
        """How many events this lane took in so far: a mark for `delivered`."""
        emitted, lost, _ = self.buffer.counts()
        return emitted - sum(lost.values())

    def delivered(self, mark: int) -> bool:
        """Whether Redis has accepted all events before the mark."""
        missing = [self._taken]
        with suppress(IndexError):  # the publisher's thread may take the last one meanwhile
            missing.append(self.outbox[0].first)
        if self.shelf is not None and (first := self.shelf.first()) is not None:
            missing.append(first)
        return min(missing) >= mark

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
        self.outbox.append(Outgoing(self.key, self.seq, events, fields, self._taken))
        self._taken += events

    def _give_up(self, chunk: Chunk) -> None:
        logger.exception("tracequeue could not frame %d events; they are counted as dropped (internal)", chunk.events)
        self.buffer.count_lost("internal", chunk.events)
