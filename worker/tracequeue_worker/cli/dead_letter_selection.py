"""Which dead letters a command means: an id, `--group`, `--reason` or `--all`."""

import re
from typing import Annotated

import typer

from tracequeue_worker.dead_letters.reader import Selection

LETTER_ID = re.compile(r"(\d{1,4}:)?\d{1,19}-\d{1,19}")

LetterId = Annotated[str | None, typer.Argument(metavar="ID", help="One letter, as `dlq list` prints it.")]
OfGroup = Annotated[str | None, typer.Option("--group", metavar="ID", help="The group, as `dlq list` prints it.")]
OfReason = Annotated[str | None, typer.Option("--reason", metavar="CODE", help="Those of a reason, such as schema.")]
Everything = Annotated[bool, typer.Option("--all", help="All that are there now.")]


def checked_id(letter_id: str) -> str:
    if not LETTER_ID.fullmatch(letter_id):
        raise typer.BadParameter(f"{letter_id!r} is not an id such as 1790000000000-0", param_hint="ID")
    return letter_id


def selected(letter_id: str | None, group: str | None, reason: str | None, everything: bool) -> Selection:
    """What the options mean together: exactly one of the four."""
    given = (letter_id is not None, group is not None, reason is not None, everything)
    if sum(given) != 1:
        raise typer.BadParameter("name one of these: an ID, --group, --reason or --all", param_hint="ID")
    return Selection(letter_id and checked_id(letter_id), group, reason)


def none_found(selection: Selection) -> str:
    """That there are none, in words."""
    if selection.letter_id:
        return f"there is no dead letter {selection.letter_id}"
    if selection.group:
        return f"there are no dead letters of group {selection.group}"
    return f"there are no dead letters of reason {selection.reason}" if selection.reason else "no dead letters"
