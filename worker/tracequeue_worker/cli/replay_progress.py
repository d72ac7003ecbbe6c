"""How far a replay is, on stderr: a bar on a terminal, a line now and then elsewhere."""

import asyncio
import time
from collections import deque
from contextlib import AbstractAsyncContextManager
from typing import Final

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from tracequeue_worker.cli.output import say, talk
from tracequeue_worker.cli.progress import LINE_SECONDS, REFRESH_SECONDS, shown
from tracequeue_worker.printable import one_line
from tracequeue_worker.replay.replayer import Replayer

RATE_SECONDS: Final = 10.0
"""Over how long the rate is measured."""


class Rate:
    """Events a second of late."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, events: int) -> float:
        """With so many events by now."""
        now = time.monotonic()
        self._seen.append((now, events))
        while now - self._seen[0][0] > RATE_SECONDS and len(self._seen) > 2:
            self._seen.popleft()
        before, then = self._seen[0]
        return (events - then) / (now - before) if now > before else 0.0


def watched(replayer: Replayer) -> AbstractAsyncContextManager[None]:
    """Show how far it is until the block is left."""
    return shown(_bar(replayer) if talk.is_terminal else _lines(replayer))


async def _bar(replayer: Replayer) -> None:
    figures, rate = replayer.progress, Rate()
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=None), TaskProgressColumn(),
        TextColumn("{task.fields[events]}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=talk, transient=True, expand=True) as progress:
        task = progress.add_task("replay", total=None, events="")
        trouble = None
        while True:
            events = f"{figures.events:,} events, {rate.of(figures.events):,.0f}/s"
            progress.update(task, completed=figures.done, total=figures.total, events=events)
            trouble = _say_news(replayer, trouble)
            await asyncio.sleep(REFRESH_SECONDS)


async def _lines(replayer: Replayer) -> None:
    figures, rate, trouble = replayer.progress, Rate(), None
    rate.of(0)
    said = time.monotonic()
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        trouble = _say_news(replayer, trouble)
        if time.monotonic() - said >= LINE_SECONDS:
            said = time.monotonic()
            share = f" ({figures.done / figures.total:.0%})" if figures.total else ""
            say(f"{figures.events} events{share}, {rate.of(figures.events):.0f}/s", "dim")


def _say_news(replayer: Replayer, before: str | None) -> str | None:
    """A trouble that passes, once."""
    trouble = replayer.trouble
    if trouble is not None and trouble != before:
        talk.print(Text(f"waiting: {one_line(trouble)}", style="yellow"), soft_wrap=not talk.is_terminal)
    return trouble
