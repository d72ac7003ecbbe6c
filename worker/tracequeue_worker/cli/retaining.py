"""`retention`: old days dropped, once, or daily beside `up`."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from pydantic import SecretStr

from tracequeue_worker.cli.output import AsJson, Exit, counted, print_json, print_lines, run, say, table
from tracequeue_worker.doctor.finding import size
from tracequeue_worker.errors import WorkerError
from tracequeue_worker.retention.models import RetentionReport
from tracequeue_worker.retention.run import retain
from tracequeue_worker.settings import WorkerSettings

EVERY_SECONDS = 86_400.0
NOT_SAID = "say how many days stay: --days N, or TRACEQUEUE_RETENTION_DAYS"


def retention(
    days: Annotated[
        int | None,
        typer.Option(min=1, max=36_500, help="How many days stay; TRACEQUEUE_RETENTION_DAYS without it."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be dropped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Drop the days that ended longer ago, and prune the ledger. Nobody waits for it; run it daily, as the owner."""

    async def work() -> RetentionReport:
        settings = WorkerSettings.load(retention_days=days)
        if settings.retention_days is None:
            raise typer.BadParameter(NOT_SAID)
        return await retain(settings, settings.retention_days, dry_run=dry_run)

    report = run(work)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print(report)
    if report.left:
        raise typer.Exit(Exit.NO)


@contextmanager
def daily(settings: WorkerSettings, database_url: str) -> Iterator[None]:
    """Retention at once and every day until the block is left, in a thread; nothing where it is not asked for."""
    if settings.retention_days is None:
        yield
        return
    own = settings.model_copy(update={"database_url": SecretStr(database_url)})
    loop = asyncio.new_event_loop()
    task = loop.create_task(_every_day(own, settings.retention_days))
    thread = threading.Thread(target=_run, args=(loop, task), name="tracequeue retention")
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()


async def _every_day(settings: WorkerSettings, days: int) -> None:
    while True:
        try:
            report = await retain(settings, days)
        except WorkerError as error:
            say(f"retention: {error}; it is tried again in a day", "red")
        else:
            _tell(report)
        await asyncio.sleep(EVERY_SECONDS)


def _print(report: RetentionReport) -> None:
    if report.dropped:
        rows = [(one.day, one.name, one.rows, size(one.bytes)) for one in report.dropped]
        print_lines(table("day", "partition", "rows, about", "disk", rows=rows, right=("rows, about", "disk")))
    _tell(report)


def _tell(report: RetentionReport) -> None:
    for left in report.left:
        say(f"{left.name} stays: {left.why}", "red")
    if report.busy:
        say("another run of retention is at work: nothing to do for this one")
        return
    done = "would be " if report.dry_run else ""
    say(
        f"days before {report.before}: {counted(len(report.dropped), 'partition')} {done}dropped, "
        f"{size(report.bytes)} of disk {done}given back; {counted(report.frames, 'frame')} {done}pruned from the "
        f"ledger, {counted(report.replays, 'replay')} {done}forgotten",
        "" if report.left else "green",
    )
