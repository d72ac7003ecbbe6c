"""`dlq export` and `dlq drop`: dead letters to a file, and away for good."""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.text import Text

from tracequeue_worker.cli.connections import streams
from tracequeue_worker.cli.dead_letter_selection import Everything, LetterId, OfGroup, OfReason, none_found, selected
from tracequeue_worker.cli.output import AsJson, Exit, counted, own_name, print_json, run, say, talk
from tracequeue_worker.dead_letters.export import exported
from tracequeue_worker.dead_letters.reader import DeadLetters, Groups, Selection
from tracequeue_worker.errors import WorkerError
from tracequeue_worker.settings import WorkerSettings

STDOUT = "-"

Target = Annotated[str, typer.Argument(metavar="FILE", help="Where to; `-` is stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


class ExportFailed(WorkerError):
    """The file cannot be written. The text says which, and why."""


def export(
    target: Target,
    letter_id: LetterId = None,
    group: OfGroup = None,
    reason: OfReason = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Copy dead letters to a file, all unless some are named: one line of JSON each, the originals whole.

    Secrets in them are not hidden. The letters stay where they are.
    """
    named = (letter_id, group, reason) != (None, None, None)
    selection = selected(letter_id, group, reason, everything=not named)
    written = run(lambda: _export(selection, target, force))
    if as_json and target != STDOUT:
        print_json({"exported": written, "file": target})
    if not written:
        say(none_found(selection), "yellow" if named else "green")
    elif target != STDOUT:
        say(f"{counted(written, 'dead letter')} in {target}", "green")
    if letter_id and not written:
        raise typer.Exit(Exit.NO)


async def _export(selection: Selection, target: str, force: bool) -> int:
    written = 0
    async with streams(WorkerSettings.load()) as (client, membership):
        with _opened(target, force) as file:
            async for letter in DeadLetters(client, membership).chosen(selection):
                file.write(exported(letter) + "\n")
                written += 1
    return written


@contextmanager
def _opened(target: str, force: bool) -> Iterator[TextIO]:
    """The file gets its name when it is whole, and nobody else may read it."""
    if target == STDOUT:
        yield sys.stdout
        return
    path, part = Path(target), Path(f"{target}.part")
    if path.exists() and not force:
        raise ExportFailed(f"{target} is there already: choose another name, or --force to replace it")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123
            yield file
        part.replace(path)
    except OSError as error:
        raise ExportFailed(f"{target} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def drop(
    letter_id: LetterId = None,
    group: OfGroup = None,
    reason: OfReason = None,
    everything: Everything = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete dead letters for good, after a question; without a terminal only with `--yes`.

    The account goes on counting their events as dead letters.
    """
    selection = selected(letter_id, group, reason, everything)
    chosen = run(lambda: _choose(selection))
    groups = chosen.groups.most_frequent()
    if not groups:
        if as_json:
            print_json({"dropped": 0, "groups": []})
        say(none_found(selection), "yellow" if letter_id else "green")
        raise typer.Exit(Exit.NO if letter_id else Exit.DONE)
    for group_found in groups:
        say(f"{group_found.count:>7} {group_found.reason}: {group_found.error}")
    if not yes:
        _confirm(sum(one.count for one in groups))
    dropped = run(lambda: _drop(chosen))
    if as_json:
        print_json({"dropped": dropped, "groups": [{"id": one.id, "count": one.count} for one in groups]})
    say(f"{counted(dropped, 'dead letter')} dropped", "green")


def _confirm(count: int) -> None:
    question = f"Drop {counted(count, 'dead letter')} for good? `{own_name()} dlq export FILE` keeps a copy"
    if not sys.stdin.isatty():
        say(f"{question}; here --yes is needed to drop", "yellow")
        raise typer.Exit(Exit.USAGE)
    try:
        answer = talk.input(Text(f"{question} [y/N] "))
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise typer.Exit(Exit.NO)


class Chosen:
    """Letters that were looked at: exactly these are dropped, none that is written meanwhile."""

    def __init__(self) -> None:
        self.groups = Groups()
        self.ids: defaultdict[int, list[str]] = defaultdict(list)
        """By partition."""


async def _choose(selection: Selection) -> Chosen:
    chosen = Chosen()
    async with streams(WorkerSettings.load()) as (client, membership):
        async for letter in DeadLetters(client, membership).chosen(selection):
            chosen.groups.add(letter)
            chosen.ids[letter.partition].append(letter.entry_id)
    return chosen


async def _drop(chosen: Chosen) -> int:
    async with streams(WorkerSettings.load()) as (client, membership):
        letters = DeadLetters(client, membership)
        return sum([await letters.delete(partition, ids) for partition, ids in chosen.ids.items()])
