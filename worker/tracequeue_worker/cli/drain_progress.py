"""A bar for `worker --drain` on a terminal: frames stored, of those that waited at the start."""

import asyncio
from contextlib import suppress

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tracequeue_worker import service
from tracequeue_worker.backlog import read_backlog
from tracequeue_worker.cli.connections import streams
from tracequeue_worker.cli.output import talk
from tracequeue_worker.cli.progress import REFRESH_SECONDS, shown
from tracequeue_worker.errors import WorkerError
from tracequeue_worker.report import WorkerReport
from tracequeue_worker.settings import WorkerSettings


async def drain_with_progress(settings: WorkerSettings) -> WorkerReport:
    """Drain, with a bar where somebody watches. Raises as `service.run`."""
    report = WorkerReport()
    if not talk.is_terminal:
        return await service.run(settings, drain=True, report=report)
    async with shown(_bar(settings, report)):
        return await service.run(settings, drain=True, report=report)


async def _bar(settings: WorkerSettings, report: WorkerReport) -> None:
    """What fails here is said by the worker itself."""
    with suppress(WorkerError):
        async with streams(settings) as (client, membership):
            waiting = sum(one.unread + one.pending for one in await read_backlog(client, membership))
        columns = (TextColumn("frames"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=talk, transient=True) as progress:
            task = progress.add_task("frames", total=waiting)
            while True:
                progress.update(task, completed=report.frames, total=max(waiting, report.frames))
                await asyncio.sleep(REFRESH_SECONDS)
