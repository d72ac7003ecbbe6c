"""How commands talk: results to stdout, as tables or JSON; everything else to stderr; failures as exit codes."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tracequeue.errors import SettingsError
from tracequeue_worker.errors import Fatal, MissingExtra, Transient, Unreachable, WorkerError

Result = TypeVar("Result")

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


def say(text: str, style: str = "") -> None:
    """One line to whoever watches; never part of the result."""
    talk.print(Text(text, style=style))


def print_json(value: Any) -> None:
    """The result, for programs."""
    print(json.dumps(value, ensure_ascii=False, default=str))  # noqa: T201


def print_lines(renderable: Any) -> None:
    """The result, for people. As wide as a pipe needs: only a terminal cuts lines."""
    width = None if sys.stdout.isatty() else 200
    Console(highlight=False, width=width, soft_wrap=not sys.stdout.isatty()).print(renderable)


def table(*columns: str, rows: Sequence[Sequence[object]], right: Sequence[str] = ()) -> Table:
    """A table of plain values; nothing in them is markup."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", no_wrap=column in ("trace", "id"))
    for row in rows:
        made.add_row(
            *(value if isinstance(value, Text) else Text("-" if value is None else str(value)) for value in row)
        )
    return made


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
    say(f"tracequeue: {error}", style="red")
    return typer.Exit(code)
