"""`status`: how things stand now. What waits, how far down the ladder emitters had to go, what stands in the way."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from tracequeue.settings import EmitterSettings
from tracequeue_worker.backlog import Backlog, read_backlog
from tracequeue_worker.cli.connections import repository, streams
from tracequeue_worker.cli.output import AsJson, counted, print_json, print_lines, run, table
from tracequeue_worker.doctor import Finding, examine_here, read_unarchived
from tracequeue_worker.printable import one_line
from tracequeue_worker.read_models import EmitterAccount, Loss
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.trimmer import Holder, read_holders

LISTED = 20
"""Emitters that the table shows, those heard of last; `--json` has all."""
BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Standing:
    """What `status` tells."""

    backlogs: list[Backlog]
    rate: float
    accounts: list[EmitterAccount]
    losses: list[Loss]
    holders: list[Holder]
    spool: list[Finding]
    unarchived: list[Backlog]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "partitions": [asdict(backlog) for backlog in self.backlogs],
            "events_per_second": self.rate,
            "emitters": [account.model_dump(mode="json") for account in self.accounts],
            "losses": [loss.model_dump(mode="json") for loss in self.losses],
            "groups_that_block_trimming": [asdict(holder) for holder in self.holders],
            "spool": [finding.found for finding in self.spool],
            "frames_to_archive": sum(_waiting(self.unarchived)) if self.unarchived else None,
        }


def status(as_json: AsJson = False) -> None:
    """What waits in the streams, how fast it is stored, the account of each emitter, what was lost, what blocks."""
    standing = run(_look)
    if as_json:
        print_json(standing.document())
        return
    print_lines(_backlog_table(standing.backlogs))
    print_lines(f"\nstored in the last minute: {standing.rate:.1f} events/s")
    if standing.unarchived:
        print_lines(f"frames waiting to be archived: {sum(_waiting(standing.unarchived))}")
    for finding in standing.spool:
        print_lines(
            Text(f"{finding.check}: {one_line(finding.found)}", style="" if finding.verdict == "ok" else "yellow")
        )
    print_lines("")
    print_lines(_account_table(standing.accounts))
    for line in _warnings(standing):
        print_lines(Text("\n").append_text(line))


async def _look() -> Standing:
    settings = WorkerSettings.load()
    emitter = EmitterSettings.from_environment()
    async with streams(settings) as (client, membership), repository(settings) as repo:
        return Standing(
            await read_backlog(client, membership),
            await repo.get_rate(),
            await repo.get_accounts(membership.keys_begin),
            await repo.get_losses(membership.keys_begin),
            await read_holders(client, membership, settings.keep_stream_seconds),
            examine_here(emitter) if emitter.spool_dir else [],
            await read_unarchived(client, membership),
        )


def _waiting(backlogs: list[Backlog]) -> list[int]:
    return [one.unread + one.pending for one in backlogs]


def _account_table(accounts: list[EmitterAccount]) -> Any:
    """A row per emitter. The ladder of one that cannot reach Redis: memory, then its disk, then counted drops."""
    ordered = sorted(accounts, key=lambda one: one.last_seen or BEGINNING, reverse=True)
    rows: list[list[object]] = [
        [
            one.emitter_id or "without emitter", one.service, one.emitted, one.persisted, one.dead, one.ever_spooled,
            ", ".join(f"{count} {reason}" for reason, count in one.lost.items()) or "0",
            one.in_flight if one.emitter_id else 0,
        ]
        for one in ordered[:LISTED]
    ]  # fmt: skip
    if len(ordered) > LISTED:
        rows.append([f"and {len(ordered) - LISTED} more", *[""] * 7])
    numbers = ("emitted", "persisted", "dead letters", "once on disk", "in flight")
    return table("emitter", "service", *numbers[:4], "dropped", numbers[4], rows=rows, right=numbers)


def _backlog_table(backlogs: list[Backlog]) -> Any:
    rows = [
        [
            one.partition, one.unread, one.pending,
            "-" if one.oldest_seconds is None else f"{one.oldest_seconds:.1f} s", one.consumers, one.dead_letters,
        ]
        for one in backlogs
    ]  # fmt: skip
    columns = ("partition", "unread frames", "pending frames", "oldest", "workers", "dead letters")
    return table(*columns, rows=rows, right=columns)


def _warnings(standing: Standing) -> list[Text]:
    """What somebody should look at."""
    lost = [
        f"{one_line(loss.stream)}: {counted(loss.frames, 'frame')} lost before a worker could store them "
        f"({one_line(loss.reason)}), last seen {loss.last_detected:%Y-%m-%d %H:%M:%S} UTC: see `tracequeue audit`"
        for loss in standing.losses
    ]
    blocked = [one_line(holder) for holder in standing.holders]
    return [Text(line, style="red") for line in lost] + [Text(line, style="yellow") for line in blocked]
