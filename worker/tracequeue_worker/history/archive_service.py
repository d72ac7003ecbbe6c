"""Builds the archive of a worker from its settings, and runs it beside the pipeline."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tracequeue_worker.drain import Drain
from tracequeue_worker.history.acknowledger import Acknowledger
from tracequeue_worker.history.archive_folder import ArchiveFolder
from tracequeue_worker.history.archiver import Archiver
from tracequeue_worker.lease import InFlight
from tracequeue_worker.losses import Losses, Reason
from tracequeue_worker.reader import Reader
from tracequeue_worker.reclaimer import Reclaimer
from tracequeue_worker.redis_client import command_client, reading_client
from tracequeue_worker.report import WorkerReport
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.stream_losses import LossWatch
from tracequeue_worker.streams import Membership

LINGER_SECONDS: Final = 5.0
"""A quiet bot costs one write to the disk in so long a time, not one an event."""
CLOSING_SECONDS: Final = 1.0

log = logging.getLogger(__name__)


class Unarchived(Losses):
    """Frames that somebody took out of a stream before they were archived. The pipeline has its own count of them."""

    def add(self, stream: str, reason: Reason, frames: int) -> None:
        log.error("%d frames of %s are not in the archive: somebody deleted them before (%s)", frames, stream, reason)


@asynccontextmanager
async def opened_archive(
    settings: WorkerSettings, folder: Path, report: WorkerReport, *, block_ms: int, drain: bool
) -> AsyncIterator[Archiver]:
    """The archive of one worker, with connections of its own. It does not run yet."""
    url = settings.redis_url.get_secret_value()
    membership = Membership.of(settings).to_archive()
    in_flight, losses = InFlight(membership.streams), Unarchived()
    async with command_client(url) as commands, reading_client(url, block_ms) as reading:
        reclaimer = Reclaimer(commands, membership, in_flight, min_idle_ms=settings.min_idle_ms, losses=losses)
        yield Archiver(
            folder=ArchiveFolder(folder, membership.streams),
            reader=Reader(reading, membership, in_flight, block_ms=block_ms),
            reclaimer=reclaimer,
            acknowledger=Acknowledger(commands, membership),
            watch=LossWatch(commands, membership, in_flight, losses),
            in_flight=in_flight,
            drain=Drain(reclaimer, in_flight, min_idle_ms=settings.min_idle_ms),
            report=report,
            linger_seconds=min(LINGER_SECONDS, settings.min_idle_ms / 3000),
            drains=drain,
        )


@asynccontextmanager
async def archiving(
    archiver: Archiver, asked: asyncio.Event, insisted: asyncio.Event, grace_seconds: float
) -> AsyncIterator[None]:
    """Archive while the block runs. Behind it what was read is written, and where it drains all that is there: not for
    longer than the grace after it was asked to stop, and no longer once that is insisted on."""
    work = asyncio.create_task(archiver.run(), name="tracequeue archive")
    ending = asyncio.create_task(_end(archiver, asked, insisted, grace_seconds), name="tracequeue archive ends")
    try:
        yield
        if archiver.drains:
            archiver.finish_off()
        else:
            asked.set()
        await asyncio.wait({work, ending}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
            await archiver.leave()
        else:
            log.warning("leaving with %d frames not archived; they stay pending for others", len(archiver.in_flight))
    finally:
        for task in (work, ending):
            task.cancel()
        await asyncio.wait({work, ending}, timeout=CLOSING_SECONDS)


async def _end(archiver: Archiver, asked: asyncio.Event, insisted: asyncio.Event, grace_seconds: float) -> None:
    """Returns when the archive has had its time."""
    await asked.wait()
    archiver.stop()
    try:
        async with asyncio.timeout(grace_seconds):
            await insisted.wait()
    except TimeoutError:
        return
