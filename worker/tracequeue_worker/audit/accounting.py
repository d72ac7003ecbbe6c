"""The audit: every event that an emitter handed over, and where it is now. It names what is nowhere."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
from redis.asyncio import Redis

from tracequeue_worker.audit.frame_numbers import Range, in_both
from tracequeue_worker.audit.models import AuditedEmitter, MissingFrames
from tracequeue_worker.audit.spooled import spooled_frames
from tracequeue_worker.audit.stored import StoredAccounts, pruned_numbers, stored_accounts
from tracequeue_worker.audit.unsettled import UnsettledFrames
from tracequeue_worker.audit.waiting import PLACES, Place, WaitingFrame, WaitingFrames, add_up, ranges
from tracequeue_worker.read_models import EmitterAccount, Loss, Row
from tracequeue_worker.rows import EPOCH
from tracequeue_worker.sinks.batch import text
from tracequeue_worker.strays import all_partitions, with_strays
from tracequeue_worker.streams import Membership

SILENT_AFTER = timedelta(minutes=5)
"""An emitter that was heard of within this time may still have events in its hands."""
SECOND_LOOK_SECONDS = 1.0
"""Longer than a publisher waits before it sends a frame again that Redis refused."""

Missing = Mapping[UUID, Mapping[int, list[Range]]]


class Audit(Row):
    """The accounts of all emitters, or of one, and what workers saw disappear from the streams."""

    emitters: list[AuditedEmitter]
    losses: list[Loss]

    @property
    def closes(self) -> bool:
        return not self.losses and all(emitter.closes for emitter in self.emitters)


async def audit_accounts(
    client: Redis, membership: Membership, pool: asyncpg.Pool, *, spool: Path | None = None, only: UUID | None = None
) -> Audit:
    """Look at the spool, the streams and the store. Raises `Unreachable`, `Transient` and `Fatal`.

    What seems to be nowhere may have been on its way: only what is not found the second time either is missing.
    """

    async def look(before: Missing | None = None) -> Audit:
        waiting = await add_up(_on_the_way(client, membership, spool), only, {})
        if pruned := await pruned_numbers(pool, ranges(waiting)):
            waiting = await add_up(_on_the_way(client, membership, spool), only, pruned)
        stored = await stored_accounts(pool, list(ranges(waiting)), membership.keys_begin, only)
        missing = stored.missing if before is None else _still_missing(before, stored.missing)
        return _compare(stored, waiting, missing, spool)

    first = await look()
    if all(emitter.closes for emitter in first.emitters):
        return first
    await asyncio.sleep(SECOND_LOOK_SECONDS)
    return await look(_missing_of(first))


async def _on_the_way(client: Redis, membership: Membership, spool: Path | None) -> AsyncIterator[WaitingFrame]:
    """In the direction in which frames move, so that none is overtaken: the store is asked after all of it."""
    if spool is not None:
        for frame in spooled_frames(spool, all_partitions(membership)):
            yield frame
    async for frame in UnsettledFrames(client, await with_strays(client, membership)).all():
        yield frame


def _compare(
    stored: StoredAccounts, waiting: Mapping[UUID | None, WaitingFrames], missing: Missing, spool: Path | None
) -> Audit:
    known = {account.emitter_id: account for account in stored.accounts}
    unheard = [_unheard_of(emitter_id, frames) for emitter_id, frames in waiting.items() if emitter_id not in known]
    emitters = [
        _audited(
            account,
            waiting.get(account.emitter_id) or WaitingFrames(),
            stored,
            missing.get(account.emitter_id, {}) if account.emitter_id else {},
            spool,
        )
        for account in (*known.values(), *unheard)
    ]
    return Audit(emitters=emitters, losses=stored.losses)


def _audited(
    account: EmitterAccount,
    waiting: WaitingFrames,
    stored: StoredAccounts,
    missing: Mapping[int, list[Range]],
    spool: Path | None,
) -> AuditedEmitter:
    spooled, in_streams = (_still_waiting(account.emitter_id, waiting, stored, place) for place in PLACES)
    announced = account.emitted + in_streams if account.emitter_id is None else waiting.account.emitted
    emitted = max(account.emitted, announced)
    lost = max(account.lost, dict(waiting.account.lost), key=lambda counts: sum(counts.values()))
    last_seen = max(filter(None, (account.last_seen, _moment(waiting.seen_ms))), default=None)
    alive = last_seen is not None and datetime.now(UTC) - last_seen < SILENT_AFTER
    nowhere = emitted - account.persisted - account.dead - sum(lost.values()) - spooled - in_streams
    with_the_bot = nowhere if alive and nowhere > 0 and not missing else 0
    return AuditedEmitter(
        **account.model_dump(exclude={"in_flight", "emitted", "lost", "last_seen", "ever_spooled"}),
        emitted=emitted,
        lost=lost,
        last_seen=last_seen,
        ever_spooled=max(account.ever_spooled, waiting.account.spooled, spooled),
        spool_read=spool is not None,
        spooled=spooled,
        in_streams=in_streams,
        with_the_bot=with_the_bot,
        unaccounted=nowhere - with_the_bot,
        missing=list(_missing_frames(missing)),
    )


def _still_waiting(emitter_id: UUID | None, waiting: WaitingFrames, stored: StoredAccounts, place: Place) -> int:
    """Events found waiting, but for those that are stored by now."""
    arrived = 0 if emitter_id is None else stored.arrived.get((emitter_id, place), 0)
    return waiting.events[place] - arrived


def _missing_frames(missing: Mapping[int, list[Range]]) -> Iterator[MissingFrames]:
    for partition, numbers in sorted(missing.items()):
        for first, last in numbers:
            yield MissingFrames(partition=partition, first=first, last=last)


def _unheard_of(emitter_id: UUID | None, waiting: WaitingFrames) -> EmitterAccount:
    """An emitter of which the store has nothing yet."""
    names = {name: text(waiting.meta.get(name)) for name in ("service", "environment", "release", "host")}
    return EmitterAccount(
        emitter_id=emitter_id, **names, pid=None, started_at=None, last_seen=None, emitted=0, persisted=0, dead=0,
        conflicts=0, lost={}, ever_spooled=0,
    )  # fmt: skip


def _moment(milliseconds: int) -> datetime | None:
    """The time in an entry's id, which any producer may choose."""
    now = datetime.now(UTC)
    return min(now, EPOCH + timedelta(milliseconds=min(milliseconds, 2**43))) if milliseconds else None


def _missing_of(audited: Audit) -> Missing:
    missing: dict[UUID, dict[int, list[Range]]] = {}
    for emitter in audited.emitters:
        for one in emitter.missing:
            if emitter.emitter_id is not None:
                missing.setdefault(emitter.emitter_id, {}).setdefault(one.partition, []).append((one.first, one.last))
    return missing


def _still_missing(before: Missing, now: Missing) -> Missing:
    both = {
        emitter_id: {
            partition: in_both(before.get(emitter_id, {}).get(partition, ()), numbers)
            for partition, numbers in partitions.items()
        }
        for emitter_id, partitions in now.items()
    }
    return {
        emitter_id: kept
        for emitter_id, partitions in both.items()
        if (kept := {partition: numbers for partition, numbers in partitions.items() if numbers})
    }
