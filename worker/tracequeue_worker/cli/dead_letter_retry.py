"""`dlq retry`: dead letters on their way again, the first few as canaries."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import typer
from rich.progress import Progress, TextColumn

from tracequeue_worker.cli.connections import streams
from tracequeue_worker.cli.dead_letter_selection import Everything, LetterId, OfGroup, OfReason, none_found, selected
from tracequeue_worker.cli.output import AsJson, Exit, counted, print_json, run, say, talk
from tracequeue_worker.dead_letters.reader import DeadLetter, DeadLetters, Selection
from tracequeue_worker.dead_letters.retry import Campaign, Fates, Retry
from tracequeue_worker.errors import Fatal, Transient
from tracequeue_worker.settings import WorkerSettings

CANARY_SECONDS = 60.0
PROGRESS = TextColumn("retried {task.completed}")


def retry(
    letter_id: LetterId = None,
    group: OfGroup = None,
    reason: OfReason = None,
    everything: Everything = False,
    canary: Annotated[
        int, typer.Option(min=0, metavar="N", help="Retry N first, and go on only if all of them were stored.")
    ] = 0,
    timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for the fate of the canaries.")
    ] = CANARY_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Send dead letters to the workers again. Done twice, or by two people at once, it stores each event once.

    Exits with 1 if some cannot be sent, or if the canaries were not stored.
    """
    selection = selected(letter_id, group, reason, everything)
    campaign = run(lambda: _run(selection, canary, timeout))
    if as_json:
        print_json(_document(campaign))
    if not (campaign.sent or campaign.gone or campaign.stays):
        say(none_found(selection), "yellow" if letter_id else "green")
        raise typer.Exit(Exit.NO if letter_id else Exit.DONE)
    _say(campaign)
    if campaign.stays or campaign.failed:
        raise typer.Exit(Exit.NO)


async def _run(selection: Selection, canaries: int, seconds: float) -> Campaign:
    async with streams(WorkerSettings.load()) as (client, membership):
        campaign = Campaign(Retry(client, membership), canaries, seconds)
        letters = DeadLetters(client, membership).chosen(selection)
        try:
            with Progress(PROGRESS, console=talk, transient=True, disable=not talk.is_terminal) as progress:
                await campaign.run(_watched(letters, campaign, progress))
        except (Transient, Fatal):
            say(f"{counted(campaign.sent, 'dead letter')} retried before this; the others are still there", "yellow")
            raise
    return campaign


async def _watched(
    letters: AsyncIterator[DeadLetter], campaign: Campaign, progress: Progress
) -> AsyncIterator[DeadLetter]:
    """The letters, while the progress says how many are sent."""
    task = progress.add_task("retried", total=None)
    async for letter in letters:
        yield letter
        progress.update(task, completed=campaign.sent)


def _say(campaign: Campaign) -> None:
    if campaign.fates is not None:
        _say_fates(campaign.fates)
    gone = f", {campaign.gone} taken by somebody else meanwhile" if campaign.gone else ""
    left = "; the others were left as they are" if campaign.failed else ""
    say(f"{counted(campaign.sent, 'dead letter')} retried{gone}{left}", "yellow" if left else "green")
    for why, count in campaign.stays.items():
        say(f"{counted(count, 'dead letter')} not retried: {why}", "yellow")


def _say_fates(fates: Fates) -> None:
    say(f"canaries: {len(fates.stored)} stored, {len(fates.dead)} dead again, {len(fates.unknown)} not settled yet")
    for sent, why in fates.dead:
        say(f"  {sent.letter.id}: {why}", "yellow")
    if fates.unknown:
        say("  is a worker running? `tracequeue status` shows what waits", "yellow")


def _document(campaign: Campaign) -> dict[str, Any]:
    fates = campaign.fates
    return {
        "retried": campaign.sent,
        "gone": campaign.gone,
        "not_retried": dict(campaign.stays),
        "canaries": fates
        and {
            "stored": [sent.letter.id for sent in fates.stored],
            "dead": {sent.letter.id: why for sent, why in fates.dead},
            "unknown": [sent.letter.id for sent in fates.unknown],
        },
    }
