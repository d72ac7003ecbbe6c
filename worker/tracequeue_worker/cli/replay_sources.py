"""Which source the options of a replay mean, opened."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import typer

from tracequeue_worker.bounds import Bounds
from tracequeue_worker.cli.connections import streams
from tracequeue_worker.replay.dead_letters import DeadLetterSource
from tracequeue_worker.replay.files import STDIN, FileSource
from tracequeue_worker.replay.source import Source
from tracequeue_worker.replay.spool import SpoolSource
from tracequeue_worker.replay.stream import Account, StreamSource
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.strays import with_strays
from tracequeue_worker.streams import Membership


class Opened(NamedTuple):
    """What is replayed, and what is read before where it must be known whose the traces are: all of it."""

    source: Source
    whole: list[Source]


@dataclass(frozen=True, slots=True)
class Chosen:
    """One source; the live streams where nothing else is named."""

    dead: bool = False
    spool: Path | None = None
    files: Sequence[Path] = ()

    @asynccontextmanager
    async def open(self, settings: WorkerSettings, bounds: Bounds, account: Account | None) -> AsyncIterator[Opened]:
        """Raises `Unreachable`, `Fatal`, `Damaged` and `SettingsError`."""
        if self.files:
            files = FileSource.of(self.files, bounds)
            yield Opened(files, [files.without_bounds()])
            return
        if self.spool is not None:
            spool = SpoolSource(self.spool, Membership.of(settings), bounds)
            yield Opened(spool, [spool])
            return
        url = settings.redis_url.get_secret_value()
        async with streams(settings) as (client, ours):
            membership = await with_strays(client, ours)
            live = StreamSource(client, url, membership)
            if self.dead:
                letters = DeadLetterSource(client, url, membership)
                yield Opened(DeadLetterSource(client, url, membership, bounds), [letters, live])
            else:
                yield Opened(StreamSource(client, url, membership, bounds, account), [live])


def chosen(stream: bool, dead: bool, spool: Path | None, files: Sequence[Path], more: Sequence[Path]) -> Chosen:
    """What the options mean together: at most one of the four."""
    if sum((stream, dead, spool is not None, bool(files))) > 1:
        raise typer.BadParameter(
            "name one source at a time; replay one after the other into the same target",
            param_hint="--stream, --dead, --spool, --file",
        )
    if more and not files:
        raise typer.BadParameter(f"{more[0]}: files are named by --file", param_hint="PATH")
    paths = [*files, *more]
    if Path(STDIN) in paths and sys.stdin.isatty():
        raise typer.BadParameter("standard input is a terminal: pipe a file into it", param_hint="--file")
    return Chosen(dead, spool, paths)
