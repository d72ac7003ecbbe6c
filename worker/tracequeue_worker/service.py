"""The composition root: builds the parts from the settings, listens to signals, and shuts down in order."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Final

from redis.asyncio import Redis

from tracequeue_worker.batcher import Batcher
from tracequeue_worker.breaker import Breaker
from tracequeue_worker.cancellation import leave_if_cancelled
from tracequeue_worker.dead_letters.bounds import DeadLetterBounds
from tracequeue_worker.decoder import Decoder, TimeWindow
from tracequeue_worker.drain import Drain
from tracequeue_worker.errors import Fatal, Transient
from tracequeue_worker.health.monitoring import monitored
from tracequeue_worker.health.watch import Watch
from tracequeue_worker.history.archive_service import archiving, opened_archive
from tracequeue_worker.history.archiver import Archiver
from tracequeue_worker.housekeeping import Chore, Housekeeping
from tracequeue_worker.lease import InFlight, Lease
from tracequeue_worker.losses import Losses
from tracequeue_worker.pipeline import Pipeline
from tracequeue_worker.preflight import check_policy, check_redis
from tracequeue_worker.reader import BLOCK_MS, Reader
from tracequeue_worker.reclaimer import Reclaimer
from tracequeue_worker.redis_client import command_client, reading_client
from tracequeue_worker.report import WorkerReport
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.settle import Settler
from tracequeue_worker.sinks.base import Sink
from tracequeue_worker.strays import check_strays
from tracequeue_worker.stream_losses import LossWatch
from tracequeue_worker.streams import Membership
from tracequeue_worker.trimmer import Trimmer

GRACE_SECONDS: Final = 8.0
"""For finishing what is in flight after a signal; Docker kills after ten."""
CLOSING_SECONDS: Final = 1.0
DRAIN_BLOCK_MS: Final = 50
LOOK_SECONDS: Final = 2.0
TRIM_SECONDS: Final = 2.0
DEAD_LETTER_SECONDS: Final = 10.0
POLICY_SECONDS: Final = 5.0
STRAY_SECONDS: Final = 30.0

log = logging.getLogger(__name__)


class Stop:
    """How a worker is asked to end: once to finish what is in flight, twice to leave at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.insisted = asyncio.Event()

    def ask(self) -> None:
        (self.insisted if self.asked.is_set() else self.asked).set()


async def run(
    settings: WorkerSettings,
    *,
    drain: bool = False,
    sink: Sink | None = None,
    stop: Stop | None = None,
    report: WorkerReport | None = None,
    grace_seconds: float = GRACE_SECONDS,
) -> WorkerReport:
    """Run one worker until SIGTERM, SIGINT or `stop`, or with `drain` until nothing is left.

    A `report` that is given can be watched meanwhile; it is the one that is returned.
    Raises `Unreachable` or `Fatal` at start if a server is away or unfit, and with `drain` also later.
    """
    stop, report = stop or Stop(), report or WorkerReport()
    started = time.monotonic()
    membership = Membership.of(settings)
    async with AsyncExitStack() as closing:
        url = settings.redis_url.get_secret_value()
        block_ms = DRAIN_BLOCK_MS if drain else BLOCK_MS
        commands = await closing.enter_async_context(command_client(url))
        reading = await closing.enter_async_context(reading_client(url, block_ms))
        await check_redis(commands, url, membership)
        leave_if_cancelled()
        store = sink or _sink(settings)
        await store.open()
        closing.push_async_callback(_close, store)
        archiver = None
        if settings.archive_dir:
            opened = opened_archive(settings, settings.archive_dir, report, block_ms=block_ms, drain=drain)
            archiver = await closing.enter_async_context(opened)
        pipeline = build(
            settings, membership, commands, reading, store,
            drain=drain, block_ms=block_ms, report=report, archiver=archiver,
        )  # fmt: skip
        await pipeline.housekeeping.once()
        if settings.health_port is not None and not drain:
            watch = Watch(commands, membership, pipeline.in_hand, min_idle_ms=settings.min_idle_ms)
            await closing.enter_async_context(monitored(pipeline, watch, settings, settings.health_port))
        with _signals(stop):
            log.info("worker %s reads, partitions: %d", settings.consumer, len(membership.streams))
            beside = archiving(archiver, stop.asked, stop.insisted, grace_seconds) if archiver else nullcontext()
            async with _kept(pipeline), beside:
                await _work(pipeline, stop, grace_seconds)
        with suppress(Transient, Fatal):
            await pipeline.reclaimer.leave()
    pipeline.report.seconds = time.monotonic() - started
    return pipeline.report


def build(
    settings: WorkerSettings,
    membership: Membership,
    commands: Redis,
    reading: Redis,
    sink: Sink,
    *,
    drain: bool = False,
    block_ms: int = BLOCK_MS,
    report: WorkerReport | None = None,
    archiver: Archiver | None = None,
) -> Pipeline:
    """The pipeline and its parts."""
    report = report or WorkerReport()
    losses = Losses(report)
    in_flight = InFlight(membership.streams)
    min_idle_ms = settings.min_idle_ms
    reclaimer = Reclaimer(commands, membership, in_flight, min_idle_ms=min_idle_ms, losses=losses)
    breaker = Breaker()
    return Pipeline(
        reader=Reader(reading, membership, in_flight, block_ms=block_ms),
        reclaimer=reclaimer,
        decoder=Decoder(TimeWindow.of(settings)),
        batcher=Batcher(rows=settings.batch_rows, size=settings.batch_bytes, linger_ms=settings.batch_linger_ms),
        sink=sink,
        settler=Settler(commands, membership),
        lease=Lease(commands, membership, in_flight, min_idle_ms=min_idle_ms),
        in_flight=in_flight,
        breaker=breaker,
        drain=Drain(reclaimer, in_flight, min_idle_ms=min_idle_ms, held=lambda: breaker.waiting) if drain else None,
        report=report,
        losses=losses,
        housekeeping=_housekeeping(settings, membership, commands, sink, in_flight, losses, report, archiver),
        beside=archiver.patience if archiver else {},
    )


def _housekeeping(
    settings: WorkerSettings,
    membership: Membership,
    commands: Redis,
    sink: Sink,
    in_flight: InFlight,
    losses: Losses,
    report: WorkerReport,
    archiver: Archiver | None,
) -> Housekeeping:
    watch = LossWatch(commands, membership, in_flight, losses)
    trimmer = Trimmer(commands, membership, report, keep_seconds=settings.keep_stream_seconds)
    trim = partial(archiver.before_trimming, trimmer.trim) if archiver else trimmer.trim
    bounds = DeadLetterBounds(
        commands, membership, most_bytes=settings.dead_letter_bytes, most_seconds=settings.dead_letter_seconds
    )
    return Housekeeping(
        [
            Chore("policy", "keeping frames in Redis", POLICY_SECONDS, partial(check_policy, commands)),
            Chore("look", "looking for losses in Redis", LOOK_SECONDS, watch.look),
            Chore("record", "recording losses in the store", LOOK_SECONDS, partial(losses.record, sink.record_losses)),
            Chore("trim", "trimming settled frames", TRIM_SECONDS, trim),
            Chore("bound", "bounding dead letters", DEAD_LETTER_SECONDS, bounds.enforce),
            Chore("strays", "reading every partition", STRAY_SECONDS, partial(check_strays, commands, membership)),
        ]
    )


async def _work(pipeline: Pipeline, stop: Stop, grace_seconds: float) -> None:
    work = asyncio.create_task(pipeline.run(), name="tracequeue pipeline")
    asked = asyncio.create_task(stop.asked.wait(), name="tracequeue stop")
    insisted = asyncio.create_task(stop.insisted.wait(), name="tracequeue stop at once")
    try:
        await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            log.info("stopping: %d frames in flight", len(pipeline.in_flight))
            pipeline.stop()
            await asyncio.wait({work, insisted}, timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
        else:
            log.warning("leaving with %d frames unsettled; they stay pending for others", len(pipeline.in_flight))
    finally:
        for task in (work, asked, insisted):
            task.cancel()
        await asyncio.wait({work, asked, insisted}, timeout=CLOSING_SECONDS)


@asynccontextmanager
async def _kept(pipeline: Pipeline) -> AsyncIterator[None]:
    """Housekeeping beside the pipeline, and a last round after it, if the servers let us."""
    keeping = asyncio.create_task(pipeline.housekeeping.run(), name="tracequeue housekeeping")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSING_SECONDS):
            await pipeline.housekeeping.once()


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """SIGTERM and SIGINT ask to stop. Outside the main thread signals are the caller's business."""
    loop = asyncio.get_running_loop()
    caught = []
    with suppress(ValueError, RuntimeError, NotImplementedError):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.ask)
            caught.append(number)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


async def _close(sink: Sink) -> None:
    try:
        await asyncio.wait_for(sink.close(), CLOSING_SECONDS)
    except TimeoutError:
        log.warning("the store did not close in time")


def _sink(settings: WorkerSettings) -> Sink:
    from tracequeue_worker.sinks.postgres import PostgresSink  # noqa: PLC0415  # only who stores there needs the driver

    return PostgresSink(settings)
