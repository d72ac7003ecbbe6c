"""`audit`: the account of every emitter, and what is missing from it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from tracequeue.settings import EmitterSettings
from tracequeue_worker.audit.accounting import Audit, audit_accounts
from tracequeue_worker.audit.models import AuditedEmitter
from tracequeue_worker.cli.connections import database, streams
from tracequeue_worker.cli.digesting import print_digests
from tracequeue_worker.cli.output import AsJson, Exit, counted, print_json, print_lines, run, say, table
from tracequeue_worker.printable import one_line
from tracequeue_worker.settings import WorkerSettings

DAYS = ["%Y-%m-%d"]
LISTED = 50
"""Emitters that a table shows; those whose account does not close come first, and all of them are shown."""


def audit(
    spool: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Look into this spool folder too. [env: TRACEQUEUE_SPOOL_DIR]")
    ] = None,
    emitter: Annotated[UUID | None, typer.Option(metavar="ID", help="Only this emitter.")] = None,
    digests: Annotated[
        bool, typer.Option("--digests", help="Only count and digest of the rows of each day, to compare two databases.")
    ] = False,
    since: Annotated[datetime | None, typer.Option(formats=DAYS, help="With --digests: from this day on.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=DAYS, help="With --digests: before this day.")] = None,
    as_json: AsJson = False,
) -> None:
    """Where every event is that was ever handed over. Exits with 1 if any is nowhere."""
    if digests:
        if spool or emitter:
            raise typer.BadParameter("give --spool and --emitter without it", param_hint="--digests")
        print_digests(since and since.date(), until and until.date(), as_json)
        return
    if since or until:
        raise typer.BadParameter("only together with --digests", param_hint="--since, --until")

    async def work() -> Audit:
        settings = WorkerSettings.load()
        folder = spool or _own_spool()
        async with streams(settings) as (client, membership), database(settings) as pool:
            return await audit_accounts(client, membership, pool, spool=folder, only=emitter)

    found = run(work)
    if emitter and not found.emitters:
        say(f"emitter {emitter} is not known, neither to the store nor to the streams", "yellow")
        raise typer.Exit(Exit.NO)
    if as_json:
        print_json({"closes": found.closes} | found.model_dump(mode="json"))
    else:
        show_audit(found)
    if not found.closes:
        raise typer.Exit(Exit.NO)


def _own_spool() -> Path | None:
    """The folder of the bots here. None where nothing made them make it yet."""
    folder = EmitterSettings.from_environment().spool_dir
    return folder if folder is not None and folder.exists() else None


def show_audit(found: Audit) -> None:
    """A table of the accounts, what does not close and why, and the verdict."""
    if found.emitters:
        print_lines(audit_table(found))
    for reason in _reasons(found):
        print_lines(Text(f"\n{reason}", style="red"))
    print_lines(_verdict(found))


def _reasons(found: Audit) -> Iterator[str]:
    """Why it does not close: of each emitter, then of the streams."""
    for emitter in found.emitters:
        for reason in emitter.why:
            yield f"{_name(emitter)}: {one_line(reason)}"
    for loss in found.losses:
        yield (
            f"{one_line(loss.stream)}: {counted(loss.frames, 'frame')} lost before a worker could store them "
            f"({one_line(loss.reason)}), last seen {loss.last_detected:%Y-%m-%d %H:%M:%S} UTC"
        )


def audit_table(found: Audit) -> Any:
    """A row per emitter, those first whose account does not close; many that do are left out, with a word."""
    ordered = sorted(found.emitters, key=lambda one: (one.closes, not _on_the_way(one)))
    open_ones = sum(not one.closes for one in ordered)
    shown = ordered[: max(LISTED, open_ones)]
    rows: list[list[object]] = [
        [
            one.emitter_id or "without emitter", one.service, one.emitted, one.persisted, one.dead, _dropped(one.lost),
            one.spooled, one.in_flight, one.unaccounted, _state(one),
        ]
        for one in shown
    ]  # fmt: skip
    if left := len(ordered) - len(shown):
        rows.append([f"and {left} more that close", *[None] * 9])
    numbers = ("emitted", "persisted", "dead letters", "spooled", "in flight", "nowhere")
    return table("emitter", "service", *numbers[:3], "dropped", *numbers[3:], "account", rows=rows, right=numbers)


def _verdict(found: Audit) -> Text:
    emitted = counted(sum(one.emitted for one in found.emitters), "event")
    waiting = sum(_on_the_way(one) for one in found.emitters)
    if not found.emitters and found.closes:
        return Text("no emitter is known yet")
    if not found.closes:
        broken = sum(not one.closes for one in found.emitters)
        lost = sum(loss.frames for loss in found.losses)
        causes = [f"of {counted(broken, 'emitter')}"] if broken else []
        causes += [f"of the streams ({counted(lost, 'frame')} lost)"] if lost else []
        return Text(f"\nTHE ACCOUNT {' and '.join(causes)} DOES NOT CLOSE: see docs/account.md", style="bold red")
    if waiting:
        return Text(f"\nthe account closes: {emitted}, of which {waiting} are still on their way", style="cyan")
    return Text(f"\nthe account closes: {emitted}, each a row, a dead letter or a counted drop", style="green")


def _on_the_way(emitter: AuditedEmitter) -> int:
    return emitter.in_flight + emitter.spooled


def _state(emitter: AuditedEmitter) -> Text:
    if not emitter.closes:
        return Text("DOES NOT CLOSE", style="bold red")
    return Text("on its way", style="cyan") if _on_the_way(emitter) else Text("closes", style="green")


def _name(emitter: AuditedEmitter) -> str:
    where = ", ".join(one_line(part) for part in (emitter.service, emitter.host) if part)
    return f"{emitter.emitter_id}" + (f" ({where})" if where else "")


def _dropped(lost: dict[str, int]) -> str:
    most = sorted(lost.items(), key=lambda one: -one[1])[:5]
    more = sum(lost.values()) - sum(count for _, count in most)
    return ", ".join(f"{count} {reason}" for reason, count in most) + (f", {more} more" if more else "") or "0"
