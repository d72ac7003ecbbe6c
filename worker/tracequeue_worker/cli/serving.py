"""`worker`, `migrate` and `up`: what runs."""

import asyncio
import shlex
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tracequeue_worker import migrate as migrations
from tracequeue_worker import service
from tracequeue_worker.cli.drain_progress import drain_with_progress
from tracequeue_worker.cli.output import AsJson, Exit, counted, own_name, print_json, print_lines, reported, run, say
from tracequeue_worker.cli.retaining import daily
from tracequeue_worker.embedded import DATA_DIR, servers, to_start
from tracequeue_worker.embedded.workers import WorkerProcess, environment_of, worker_processes
from tracequeue_worker.garbage import seldom_sought
from tracequeue_worker.logs import set_up_logging
from tracequeue_worker.settings import WorkerSettings

WATCH_SECONDS = 0.5

DataDir = Annotated[Path, typer.Option("--data-dir", help="Where embedded servers keep their data.")]


def worker(
    drain: Annotated[bool, typer.Option("--drain", help="Stop when nothing is left.")] = False,
    consumer: Annotated[str | None, typer.Option(help="The name in the group; unique by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Store frames from the stream into Postgres, until SIGTERM or Ctrl-C. Start as many as you like."""

    with reported(), seldom_sought():
        settings = WorkerSettings.load(consumer=consumer)
        set_up_logging(settings.log_format)
        report = asyncio.run(drain_with_progress(settings) if drain else service.run(settings))
    if as_json:
        print_json(asdict(report))
    else:
        archived = f", {counted(report.archived, 'frame')} archived" if settings.archive_dir else ""
        say(
            f"{report.frames} frames, {report.events} events: {report.rows} stored, "
            f"{report.dead_letters} dead letters{archived}, in {report.seconds:.1f} s"
        )
    if drain and report.held:
        say(
            f"{counted(report.held, 'frame')} held, because the store refuses what their producers send: the log says "
            "what and why; once it is cured, a worker stores them",
            "red",
        )
        raise typer.Exit(Exit.NO)


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be applied.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Say what is applied. Exits with 1 if something is not.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the database to this version, and make the partitions of the coming days. Safe to run at any time."""

    async def work() -> list[migrations.Migration]:
        url = WorkerSettings.load().database_url.get_secret_value()
        return await (migrations.status(url) if status else migrations.migrate(url, dry_run=dry_run))

    found = run(work)
    if as_json:
        print_json([{"file": one.file, "applied_at": one.applied_at} for one in found])
    for one in found if not as_json else []:
        done = f"applied {one.applied_at:%Y-%m-%d %H:%M:%S} UTC" if one.applied_at else "not applied"
        print_lines(f"{one.file}: {done if status else 'would be applied' if dry_run else 'applied'}")
    if not found and not as_json:
        say("nothing to apply: the database is up to date", "green")
    if status and any(one.applied_at is None for one in found):
        raise typer.Exit(Exit.NO)


def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers.")] = 1,
    data_dir: DataDir = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Everything on this machine: Redis and Postgres where none are given, migrations, workers. Ctrl-C ends it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with reported():
        settings = WorkerSettings.load()
        missing = to_start(settings)
        if missing:
            say(f"starting {' and '.join(missing.values())}")
        with servers(settings, data_dir) as running:
            run(lambda: migrations.migrate(running.database_url))
            environment = environment_of(settings, running)
            names = [f"up-{number}" for number in range(1, workers + 1)]
            urls = {f"TRACEQUEUE_{field.upper()}": getattr(running, field) for field in missing}
            with daily(settings, running.database_url), worker_processes(names, environment) as processes:
                _announce(urls, workers, as_json)
                _watch(processes)


def _announce(urls: dict[str, str], workers: int, as_json: bool) -> None:
    """Where the embedded servers are. A URL that was given is known, and may hold a password."""
    if as_json:
        print_json(urls)
        return
    for name, url in urls.items():
        typer.echo(f"export {name}={shlex.quote(url)}")
    say(f"{counted(workers, 'worker')} running", "green")
    if urls:
        say(f"paste these lines into another terminal: for your bot, and for `{own_name()} traces`")
    say("Ctrl-C stops everything; the data stays", "dim")


def _watch(processes: list[WorkerProcess]) -> None:
    """Until Ctrl-C, or until a worker ends by itself, which it does only with an error."""
    while True:
        for process in processes:
            if (code := process.exit_code()) is not None:
                say(f"worker {process.consumer} ended with code {code}; its last lines say why", "red")
                raise typer.Exit(Exit.UNREACHABLE)
        time.sleep(WATCH_SECONDS)
