"""The command line. Results go to stdout, talk to stderr; exit codes are in output.py."""

import os
from importlib.metadata import version
from typing import Annotated

import typer

from tracequeue.misspelt import misspelt
from tracequeue.settings import EmitterSettings
from tracequeue_worker.cli import (
    auditing,
    dead_letters,
    demonstration,
    examining,
    exporting,
    looking,
    replaying,
    retaining,
    serving,
    standing,
)
from tracequeue_worker.cli.output import say
from tracequeue_worker.settings import WorkerSettings

app = typer.Typer(
    name="tracequeue",
    help="Traces of bots and agents: through a Redis Stream into Postgres, with every event accounted for.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tracequeue {version('tracequeue')}")
        raise typer.Exit


@app.callback()
def warn(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version.")
    ] = False,
) -> None:
    """Before every command: a misspelt variable would be ignored in silence."""
    for line in misspelt(os.environ, WorkerSettings.model_fields.keys() | EmitterSettings.model_fields.keys()):
        say(line, "yellow")


for command, example in (
    (serving.up, "tracequeue up --workers 2"),
    (demonstration.demo, "tracequeue demo"),
    (serving.worker, "tracequeue worker --drain"),
    (serving.migrate, "tracequeue migrate --dry-run"),
    (standing.status, "tracequeue status --json"),
    (auditing.audit, "tracequeue audit --spool /var/spool/tracequeue"),
    (retaining.retention, "tracequeue retention --days 30 --dry-run"),
    (examining.doctor, "tracequeue doctor --json"),
    (exporting.export, "tracequeue export --out /backup --database"),
    (replaying.replay, "tracequeue replay --to postgresql://owner@new-server/traces --migrate"),
    (looking.traces, "tracequeue traces --pipeline support --failed --since 2h"),
    (looking.trace, "tracequeue trace 019b76da-a800-7000-8000-000000000001 --io"),
):
    app.command(epilog=f"Example: {example}")(command)
app.add_typer(dead_letters.app, name="dlq")
