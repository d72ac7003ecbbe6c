"""Reads the streams a second time, under a group of its own, and writes every frame to the disk before it settles it.

What the group has not settled is not trimmed (see trimmer.py), so the group is all that the archive must remember.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tracequeue_worker.backoff import Patience
from tracequeue_worker.drain import Drain
from tracequeue_worker.errors import Fatal, Transient
from tracequeue_worker.history.acknowledger import Acknowledger
from tracequeue_worker.history.archive_folder import ArchiveFolder
from tracequeue_worker.history.disk_thread import on_disk
from tracequeue_worker.lease import InFlight
from tracequeue_worker.reader import Reader
from tracequeue_worker.reclaimer import Reclaimer
from tracequeue_worker.records import Entry
from tracequeue_worker.report import WorkerReport
from tracequeue_worker.stream_losses import LossWatch

BATCH_BYTES: Final = 8 * 1024 * 1024
"""As the frames are in Redis."""
LOOK_SECONDS: Final = 2.0
RECOVER_SECONDS: Final = 60.0

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Archiver:
    """One loop: read, write, acknowledge. `linger_seconds` is how long a frame waits for others before it is written.

    A failure is held and told; it never touches the pipeline. After `finish_off` the loop ends when nothing is left,
    and a `Fatal` ends it where `drains`; after `stop` it ends as soon as what was read is written.
    """

    folder: ArchiveFolder
    reader: Reader
    reclaimer: Reclaimer
    acknowledger: Acknowledger
    watch: LossWatch
    in_flight: InFlight
    drain: Drain
    report: WorkerReport
    linger_seconds: float
    drains: bool = False
    _batch: list[Entry] = field(default_factory=list)
    _batch_bytes: int = 0
    _batch_since: float = 0.0

    def __post_init__(self) -> None:
        self._stopping = asyncio.Event()
        self._last = False
        self._look_at = self._recover_at = 0.0
        patience = partial(Patience, fatal_ends=self.drains, until=self._stopping)
        self._reading = patience("reading frames to archive")
        self._writing = patience("writing the archive")
        self._settling = patience("settling what is archived")

    @property
    def patience(self) -> dict[str, Patience]:
        """What is tried until it works, by a short name."""
        return {
            "archive_read": self._reading,
            "archive_write": self._writing,
            "archive_settle": self._settling,
        }

    async def before_trimming(self, trim: Callable[[], Awaitable[None]]) -> None:
        """Trim, once every stream has a group of the archive, which holds back what is not archived."""
        await self.reader.create_groups()
        await trim()

    def finish_off(self) -> None:
        """Archive what is there, then end."""
        self._last = True

    def stop(self) -> None:
        """Read nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Until stopped, or finished off. A defect ends the archive alone, and stays its trouble."""
        try:
            await self._work()
        except (Transient, Fatal) as error:
            if not self._stopping.is_set():
                raise
            log.warning("the archive ends with %d frames unsettled; they stay pending: %s", len(self.in_flight), error)
        except Exception as defect:
            if self.drains:
                raise
            log.exception("no longer archiving")
            self._writing.failed(Fatal(f"{type(defect).__name__}: a defect, report it, and restart the worker"))

    async def leave(self) -> None:
        """Take our consumer out of the group, if nothing is pending under it."""
        with suppress(Transient, Fatal):
            await self.reclaimer.leave()

    async def _work(self) -> None:
        while not self._stopping.is_set():
            await self._look_after()
            if self.reclaimer.due:
                await self._reading.until_done(self._take_pending)
            entries = await self._reading.until_done(self.reader.read)
            await self._take(entries)
            if self._last and not entries:
                await self._store()
                if await self._reading.until_done(self.drain.nothing_left):
                    break
        await self._store()
        await self._writing.until_done(partial(on_disk, self.folder.finish))
        if self.folder.abandoned:
            await on_disk(self.folder.recover)

    async def _take_pending(self) -> None:
        async with aclosing(self.reclaimer.round()) as pages:
            async for page in pages:
                await self._take(page)
                if self._stopping.is_set():
                    return

    async def _take(self, entries: Sequence[Entry]) -> None:
        """Put frames into the batch, and write it when it is time. So there is never more than one page beyond it."""
        if entries:
            self.drain.news()
            self._batch_since = self._batch_since if self._batch else time.monotonic()
            self._batch += entries
            self._batch_bytes += sum(entry.size for entry in entries)
        waited = time.monotonic() - self._batch_since
        if self._batch_bytes >= BATCH_BYTES or waited >= self.linger_seconds:
            await self._store()

    async def _store(self) -> None:
        """Write what was read, then settle it."""
        if not self._batch:
            return
        await self._writing.until_done(partial(on_disk, partial(self.folder.store, self._batch)))
        self.report.archived += await self._settling.until_done(partial(self.acknowledger.acknowledge, self._batch))
        self.in_flight.release(self._batch)
        self._batch, self._batch_bytes = [], 0

    async def _look_after(self) -> None:
        """What is due now and then: old files, those of the dead, and losses."""
        if self.folder.due:
            await self._writing.until_done(partial(on_disk, self.folder.finish))
        now = time.monotonic()
        if now >= self._recover_at or self.folder.abandoned:
            await on_disk(self.folder.recover)
            self._recover_at = now + RECOVER_SECONDS
        if now >= self._look_at:
            await self._reading.until_done(self.watch.look)
            self._look_at = now + LOOK_SECONDS
