"""`export`: settled frames of the stream, or rows of the database, into files that `replay --file` reads."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from tracequeue_worker.bounds import Bounds
from tracequeue_worker.cli.connections import database, streams
from tracequeue_worker.cli.output import AsJson, counted, print_json, print_lines, run, say, table, talk
from tracequeue_worker.cli.progress import LINE_SECONDS, REFRESH_SECONDS, shown
from tracequeue_worker.cli.times import between
from tracequeue_worker.history.rotation import Rotation
from tracequeue_worker.history.rows_export import RowsExport
from tracequeue_worker.history.stream_export import StreamExport
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.strays import with_strays

UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}
SIZE: Final = re.compile(r"(\d{1,12})\s*(?:([KMG]I?)?B)?", re.IGNORECASE)


def export(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder for the files; it is made if needed.")],
    of_database: Annotated[bool, typer.Option("--database", help="Rows of the database.")] = False,
    of_stream: Annotated[bool, typer.Option("--stream", help="Settled frames of the stream: the default.")] = False,
    since: Annotated[str | None, typer.Option(help="From here on: 2h, 7d, a date, or an entry id.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this.")] = None,
    size: Annotated[str, typer.Option(help="How large a file may grow, compressed.")] = "256MB",
    as_json: AsJson = False,
) -> None:
    """Write history to compressed files, and leave it where it is.

    The files hold people's conversations: only you may read them. An export of the whole database also has its ledger.
    """
    if of_database and of_stream:
        raise typer.BadParameter("one of them at a time", param_hint="--database, --stream")
    files = Rotation(out, _bytes(size))
    bounds = between(since, until)
    unsettled = run(lambda: _export_rows(bounds, files) if of_database else _export_stream(bounds, files))
    if as_json:
        print_json(_document(files, unsettled))
        return
    if unsettled:
        say(f"{counted(unsettled, 'frame')} left out: no worker has stored them yet", "yellow")
    if not files.files:
        source = "TRACEQUEUE_DATABASE_URL" if of_database else "TRACEQUEUE_PREFIX"
        say(f"there is nothing to export: check {source}, --since and --until if you expected any", "yellow")
        return
    columns = ("file", "records", "events", "bytes")
    rows = [[str(file.path), file.records, file.events, file.size] for file in files.files]
    print_lines(table(*columns, rows=rows, right=columns[1:]))
    say(f"\nto read them: tracequeue replay --to DSN --file {out}/*.zst", "dim")


async def _export_stream(bounds: Bounds, files: Rotation) -> int:
    """How many frames are not settled."""
    async with streams(WorkerSettings.load()) as (client, ours), _shown(files, lambda: ""):
        membership = await with_strays(client, ours)
        export = StreamExport(client, membership, bounds, files)
        await export.run()
    return export.unsettled


async def _export_rows(bounds: Bounds, files: Rotation) -> int:
    async with database(WorkerSettings.load()) as pool:
        export = RowsExport(pool, bounds, files)
        async with _shown(files, lambda: f", {export.days} of {counted(export.all_days, 'day')}"):
            await export.run()
    return 0


@asynccontextmanager
async def _shown(files: Rotation, more: Callable[[], str]) -> AsyncIterator[None]:
    """How far it is, on stderr. A file that is not finished at the end is removed."""
    try:
        async with shown(_watch(files, more)):
            yield
    finally:
        files.discard()


async def _watch(files: Rotation, more: Callable[[], str]) -> None:
    def words() -> str:
        return f"{counted(files.records, 'record')}, {files.size / 1e6:.1f} MB{more()}"

    if not talk.is_terminal:
        while True:
            await asyncio.sleep(LINE_SECONDS)
            say(words(), "dim")
    with talk.status("") as status:
        while True:
            status.update(Text(words()))
            await asyncio.sleep(REFRESH_SECONDS)


def _document(files: Rotation, unsettled: int) -> dict[str, Any]:
    written = [asdict(file) | {"path": str(file.path), "id": str(file.id)} for file in files.files]
    sums = {name: sum(file[name] for file in written) for name in ("records", "events", "size")}
    return {"files": written, **sums, "unsettled": unsettled}


def _bytes(text: str) -> int:
    found = SIZE.fullmatch(text.strip())
    size = int(found[1]) * UNITS[(found[2] or "").upper()] if found else 0
    if size == 0:
        raise typer.BadParameter(f"{text!r} is no size such as 256MB or 1GiB", param_hint="--size")
    return size
