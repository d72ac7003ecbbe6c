"""`dlq`: the dead letters, listed and shown; what is done with them is in the modules beside."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.text import Text

from tracequeue_worker.cli import dead_letter_removal, dead_letter_retry
from tracequeue_worker.cli.connections import streams
from tracequeue_worker.cli.dead_letter_selection import checked_id
from tracequeue_worker.cli.output import AsJson, Exit, print_json, print_lines, run, say, table
from tracequeue_worker.dead_letters.facts import readable
from tracequeue_worker.dead_letters.hidden import without_secrets
from tracequeue_worker.dead_letters.reader import DeadLetter, DeadLetters, Group
from tracequeue_worker.printable import one_line, printable
from tracequeue_worker.settings import WorkerSettings

SHOWN_CHARACTERS = 20_000
SHOWN_OF_A_FIELD = 200

app = typer.Typer(help="Records that could not be stored: why, and what they were.", no_args_is_help=True)


@app.command("list", epilog="Example: tracequeue dlq list --json")
def list_groups(as_json: AsJson = False) -> None:
    """Dead letters, grouped by reason and by what their errors have in common."""

    async def work() -> list[Group]:
        async with streams(WorkerSettings.load()) as (client, membership):
            return await DeadLetters(client, membership).groups()

    groups = run(work)
    if as_json:
        print_json([asdict(group) | {"emitters": sorted(group.emitters)} for group in groups])
        return
    if not groups:
        say("no dead letters", "green")
        return
    rows = [[group.count, group.id, group.reason, group.error, group.first, group.last] for group in groups]
    print_lines(table("count", "group", "reason", "error", "first", "last", rows=rows, right=("count",)))
    say(f"\none of them: tracequeue dlq show {groups[0].last}", "dim")
    say(f"when mended: tracequeue dlq retry --group {groups[0].id} --canary 1", "dim")


@app.command("show", epilog="Example: tracequeue dlq show 1790000000000-0")
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `dlq list` prints it.")], as_json: AsJson = False
) -> None:
    """One dead letter: why, whence, and the original as far as it can be read. Exits with 1 if it is gone."""
    checked_id(letter_id)

    async def work() -> DeadLetter | None:
        async with streams(WorkerSettings.load()) as (client, membership):
            return await DeadLetters(client, membership).get(letter_id)

    letter = run(work)
    if letter is None:
        say(f"there is no dead letter {letter_id}", "yellow")
        raise typer.Exit(Exit.NO)
    if as_json:
        print_json(letter_document(letter))
        return
    print_lines(table("fact", "value", rows=[("id", letter.id), *readable(letter.facts)]))
    for name, value in _readable_fields(letter):
        print_lines(Text(one_line(f"{name}: {value}")[:SHOWN_OF_A_FIELD], style="dim"))
    print_lines(original_text(letter))


def original_text(letter: DeadLetter) -> Text:
    """The original record, below its facts; a long one is cut and says so."""
    content = without_secrets(letter.content())
    cut = len(content) - SHOWN_CHARACTERS
    more = f"\n… {cut} more characters: --json has them" if cut > 0 else ""
    return Text("\n" + printable(content[:SHOWN_CHARACTERS].rstrip("\n"))).append(more, style="dim")


def letter_document(letter: DeadLetter) -> dict[str, Any]:
    """A letter as JSON, without secrets; the other fields of its entry as text."""
    return {
        "id": letter.id,
        **letter.facts,
        "content": without_secrets(letter.content()),
        "fields": dict(_readable_fields(letter)),
    }


def _readable_fields(letter: DeadLetter) -> Iterator[tuple[str, str]]:
    for name, value in letter.fields.items():
        yield name.decode("utf-8", "backslashreplace"), without_secrets(value.decode("utf-8", "backslashreplace"))


for command, example in (
    (dead_letter_retry.retry, "tracequeue dlq retry --group 9f86d081 --canary 3"),
    (dead_letter_removal.export, "tracequeue dlq export letters.ndjson --reason schema"),
    (dead_letter_removal.drop, "tracequeue dlq drop --reason schema"),
):
    app.command(epilog=f"Example: {example}")(command)
