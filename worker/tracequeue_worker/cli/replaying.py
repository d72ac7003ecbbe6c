"""`replay`: whatever still holds the events, into a database."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from tracequeue.errors import SettingsError
from tracequeue_worker.bounds import is_relative
from tracequeue_worker.cli.output import AsJson, Exit, counted, print_json, run, say
from tracequeue_worker.cli.replay_progress import watched
from tracequeue_worker.cli.replay_report import show_report
from tracequeue_worker.cli.replay_sources import Chosen, Opened, chosen
from tracequeue_worker.cli.times import between
from tracequeue_worker.decoder import Decoder, TimeWindow
from tracequeue_worker.errors import Transient, WorkerError
from tracequeue_worker.replay.dead_letters import AFTERWARDS
from tracequeue_worker.replay.dry_run import DryRun
from tracequeue_worker.replay.models import ReplayReport
from tracequeue_worker.replay.replayer import GO_ON, Replayer
from tracequeue_worker.replay.selection import Selection
from tracequeue_worker.replay.store import DatabaseStore
from tracequeue_worker.replay.target import VARIABLE, Target
from tracequeue_worker.replay.wanted_traces import WantedTraces, traces_in
from tracequeue_worker.settings import WorkerSettings


def replay(  # noqa: PLR0913, PLR0917 - each is an option
    paths: Annotated[list[Path] | None, typer.Argument(metavar="PATH", help="More files, behind --file.")] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="DSN",
            help="The database that is filled. Others on this machine see it in the list of processes: where it has a "
            "password, set TRACEQUEUE_DATABASE_URL instead, which is the default.",
        ),
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="From the live streams: the default.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="From the dead letters; they stay there.")] = False,
    spool: Annotated[Path | None, typer.Option(metavar="DIR", help="From a spool folder; it stays as it is.")] = None,
    file: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="From files of `export` or of the archive; - is stdin.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="From here on: 2h, 7d, a date, or an entry id.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Only traces of this pipeline.")] = None,
    telegram_id: Annotated[int | None, typer.Option(help="Only traces of this user of Telegram.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; say what the target's ledger does not know yet.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=1, metavar="N", help="At most so many events a second.")] = None,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="Make an empty or older database ready first; needs its owner's login.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Store events again from whatever still holds them, and say what is there and what is not.

    Interrupted, it goes on where it is when the same command is run again. Exits with 1 if anything is missing.
    """
    if migrate and dry_run:
        raise typer.BadParameter(
            "a dry run writes nothing, and needs no tables: leave --migrate out", param_hint="--dry-run"
        )
    source = chosen(stream, dead, spool, file or [], paths or [])
    selection = Selection(between(since, until), pipeline, telegram_id)
    if is_relative(since) or is_relative(until):
        say(f"{selection.bounds.text}: to go on with this replay after an interruption, type these times", "dim")

    async def work() -> ReplayReport:
        target = Target(_settings(to), "--to" if to else VARIABLE)
        if dry_run:
            async with DryRun.open(target, has_tables=await target.has_tables()) as store:
                return await _replay(source, selection, target.settings, store, rate)
        await target.prepare(migrating=migrate)
        async with DatabaseStore.open(target) as store:
            return await _replay(source, selection, target.settings, store, rate)

    _tell(run(work), as_json=as_json, dead=dead)


def _settings(to: str | None) -> WorkerSettings:
    """With the target as their database. Raises `SettingsError`, which names what was typed."""
    try:
        return WorkerSettings.load(database_url=to)
    except SettingsError as error:
        named = str(error).replace(f"{VARIABLE} (or DATABASE_URL)", "--to")
        raise (SettingsError(named) if to else error) from None


def _tell(report: ReplayReport, *, as_json: bool, dead: bool) -> None:
    """Print what became of it, and exit as that is. `dead`: it was of dead letters."""
    if as_json:
        print_json(report.model_dump(mode="json"))
    if not report.finished:
        advice = f": {GO_ON}" if report.replay_id else ""
        say(f"interrupted after {counted(report.frames, 'frame')}{advice}", "yellow")
        raise typer.Exit(Exit.INTERRUPTED)
    if not as_json:
        show_report(report)
    if report.replay_id is None:
        return
    if dead and report.frames:
        say(AFTERWARDS, "dim")
    if not report.complete:
        raise typer.Exit(Exit.NO)


async def _replay(
    source: Chosen, selection: Selection, settings: WorkerSettings, store: DatabaseStore | DryRun, rate: float | None
) -> ReplayReport:
    async with (
        source.open(settings, selection.bounds, store) as opened,
        _wanted(opened, selection, settings) as wanted,
    ):
        take = wanted.take if wanted else None
        replayer = Replayer(opened.source, store, settings, selection=selection, wanted=take, rate=rate)
        async with watched(replayer):
            report = await _interruptible(replayer)
        if wanted is None:
            return report
        shortfalls = [*report.shortfalls, *wanted.shortfalls()]
        return report.model_copy(update={"shortfalls": shortfalls})


@asynccontextmanager
async def _wanted(opened: Opened, selection: Selection, settings: WorkerSettings) -> AsyncIterator[WantedTraces | None]:
    """Which traces are wanted, where not all are: for that the source is read once before."""
    if not selection.by_trace:
        yield None
        return
    say("reading the source once to see whose its traces are", "dim")
    await opened.source.parts()
    wanted = await traces_in(selection, Decoder(TimeWindow.of(settings)), *opened.whole)
    try:
        yield wanted
    finally:
        wanted.close()


async def _interruptible(replayer: Replayer) -> ReplayReport:
    """Run it; the first signal ends it behind the batch in hand, the second one at once."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)
        replayer.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        return await replayer.run()
    except Transient:
        raise
    except WorkerError:
        if replayer.progress.frames:
            say(
                f"{counted(replayer.progress.frames, 'frame')} stored before this stay: once it is cured, {GO_ON}",
                "yellow",
            )
        raise
