"""How commands talk: results to stdout, as tables or JSON; everything else to stderr; failures as exit codes."""

import asyncio
import shutil
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from tracequeue.errors import SettingsError
from tracequeue_worker.errors import Fatal, MissingExtra, Transient, Unreachable, WorkerError
from tracequeue_worker.printable import json_text, one_line, printable

Result = TypeVar("Result")

FOLDED = ("error", "missing", "value", "dropped", "")
"""Columns that give way where a terminal is narrow. The others never do: a cut id is of no use."""
PIPE_WIDTH = 100_000

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

talk = Console(stderr=True, highlight=False)
"""For what a person reads meanwhile."""


class Exit(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    NO = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


def own_name() -> str:
    """How this command is typed here: its name where PATH has it, else the path of the environment's."""
    if shutil.which("tracequeue"):
        return "tracequeue"
    path = Path(sys.executable).with_name("tracequeue")
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def say(text: str, style: str = "") -> None:
    """One line to whoever watches; never part of the result. Only a terminal wraps it."""
    talk.print(Text(printable(text), style=style), soft_wrap=not talk.is_terminal)


def print_json(value: Any) -> None:
    """The result, for programs: at once, for `up` goes on."""
    print(json_text(value), flush=True)  # noqa: T201


def print_lines(renderable: Any) -> None:
    """The result, for people. A terminal folds long cells; a pipe gets every row on one line, without padding."""
    if sys.stdout.isatty():
        console = Console(highlight=False)
        if isinstance(renderable, Table):
            needed = console.measure(renderable, options=console.options.update(width=PIPE_WIDTH)).minimum
            console.width = max(console.width, needed)
        console.print(renderable)
        return
    wide = Console(highlight=False, width=PIPE_WIDTH)
    with wide.capture() as captured:
        wide.print(renderable)
    for line in captured.get().removesuffix("\n").split("\n"):
        print(line.rstrip())  # noqa: T201


def table(*columns: str, rows: Sequence[Sequence[object]], right: Sequence[str] = ()) -> Table:
    """A table of plain values; nothing in them is markup."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    cells = [[_cell(value) for value in row] for row in rows]
    for number, column in enumerate(columns):
        justify: JustifyMethod = "right" if column in right else "left"
        if column in FOLDED:
            made.add_column(column, justify=justify, overflow="ellipsis")
        else:
            longest = max((row[number].cell_len for row in cells), default=0)
            made.add_column(column, justify=justify, no_wrap=True, min_width=max(longest, len(column)))
    for row in cells:
        made.add_row(*row)
    return made


def _cell(value: object) -> Text:
    return value if isinstance(value, Text) else Text("-" if value is None else one_line(value))


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def reported() -> Iterator[None]:
    """Turn what went wrong into one line and an exit code."""
    try:
        yield
    except (SettingsError, MissingExtra) as error:
        raise _failed(error, Exit.USAGE) from None
    except (Unreachable, Fatal, Transient) as error:
        raise _failed(error, Exit.UNREACHABLE) from None
    except WorkerError as error:
        raise _failed(error, Exit.NO) from None
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None


def run(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a command's coroutine, and report what goes wrong."""
    with reported():
        return asyncio.run(work())


def _failed(error: Exception, code: Exit) -> typer.Exit:
    say(f"tracequeue: {one_line(error)}", style="red")
    return typer.Exit(code)
