"""The ledger of frames: which frames of a batch are new here, and what becomes of the others."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tracequeue_worker.database import Connection
from tracequeue_worker.errors import Transient
from tracequeue_worker.records import DecodedFrame, Rejection, Stored
from tracequeue_worker.sinks.batch import Batch, Key, key_of, storable, text
from tracequeue_worker.sql import statement


@dataclass(slots=True)
class LedgerEntry:
    """A stored frame: the digest of its body, the entry that brought it, and its events that became dead letters."""

    digest: bytes
    entry_id: bytes
    dead: list[Rejection]


@dataclass(frozen=True, slots=True)
class Entered:
    """What the ledger made of a batch: one `Stored` per frame, and the numbers of the frames that were new."""

    stored: list[Stored]
    new: list[int]
    known: list[int]
    """Frames that stand for their key and of which nothing is to be written."""
    repaired: list[int]
    """Frames that stand for their key, are known, and are written again as far as something is missing."""
    conflicting: list[int]
    """Frames with the number of another one."""


async def enter(connection: Connection, batch: Batch, *, repairing: bool = False) -> Entered:
    """Enter the batch. Raises `Transient` where the ledger was pruned at the same moment.

    When `repairing`, frames that are known are written again like retried ones, and all that is refused is told.
    """
    new_keys = await _insert(connection, batch)
    entries = await _entries(connection, batch, new_keys)
    conflicting = [
        number
        for number, frame in enumerate(batch.frames)
        if not frame.retry and entries[key_of(frame)].digest != frame.digest
    ]
    await _note_conflicts(connection, [batch.frames[number] for number in conflicting])
    known = {number for key, number in batch.firsts.items() if key not in new_keys}
    repaired = known.difference(conflicting) if repairing else set()
    retried = await _retry(connection, batch, repaired, repairing)
    stored = [
        retried[number] if number in retried else _outcome(batch, number, entries[key_of(frame)], new_keys)
        for number, frame in enumerate(batch.frames)
    ]
    return Entered(
        stored,
        new=[number for key, number in batch.firsts.items() if key in new_keys],
        known=sorted(known - repaired),
        repaired=sorted(repaired),
        conflicting=conflicting,
    )


async def _entries(connection: Connection, batch: Batch, new_keys: Collection[Key]) -> dict[Key, LedgerEntry]:
    """What the ledger says of every key of the batch now."""
    entries = {
        key: LedgerEntry(batch.frames[number].digest, batch.frames[number].entry.id, batch.rejections[number])
        for key, number in batch.firsts.items()
        if key in new_keys
    }
    entries |= await _fetch(connection, "frames_known", batch.firsts.keys() - entries.keys())
    if batch.firsts.keys() - entries.keys():
        raise Transient("the ledger was pruned while this batch was written")
    return entries


async def known(connection: Connection, batch: Batch) -> set[Key]:
    """The keys of the batch that are in the ledger by now."""
    return set(await _fetch(connection, "frames_known", batch.firsts))


def _outcome(batch: Batch, number: int, entry: LedgerEntry, new_keys: Collection[Key]) -> Stored:
    frame = batch.frames[number]
    key = key_of(frame)
    if entry.digest != frame.digest:
        conflict = f"emitter {frame.emitter_id} numbered another frame {frame.seq} before; that one is stored"
        return Stored(frame, [Rejection(None, "seq_conflict", conflict)], earlier=frame.entry.id)
    known = key not in new_keys or batch.firsts[key] != number
    return Stored(frame, list(entry.dead), known, earlier=entry.entry_id if known else b"")


async def _insert(connection: Connection, batch: Batch) -> set[Key]:
    rows = [_row(batch.frames[number], batch.rejections[number]) for _, number in sorted(batch.firsts.items())]
    if not rows:
        return set()
    records = await connection.fetch(statement("frames_insert"), *zip(*rows, strict=True))
    return {_key(record) for record in records}


async def _note_conflicts(connection: Connection, frames: Sequence[DecodedFrame]) -> None:
    """Write down which frames have the number of another one: they are in no other table."""
    if frames:
        await connection.execute(statement("conflicts_insert"), *zip(*sorted(map(_facts, frames)), strict=True))


def _row(frame: DecodedFrame, dead: Sequence[Rejection]) -> tuple[Any, ...]:
    return (*_facts(frame), _to_json(dead))


def _facts(frame: DecodedFrame) -> tuple[Any, ...]:
    """What the ledger says of a frame, and of one whose number was used before."""
    entry = frame.entry
    stream, entry_id = (text(name.decode("utf-8", "replace")) or "" for name in (entry.stream, entry.id))
    return (*key_of(frame), frame.digest, stream, entry_id, frame.events)


async def _retry(connection: Connection, batch: Batch, repaired: Collection[int], repairing: bool) -> dict[int, Stored]:
    """Take retried events out of `dead`; those that are refused again go back in, with the new reason.

    A frame that the ledger does not have (another database, or pruned) is stored as far as it is retried, and makes no
    entry: the entry belongs to the whole frame. Only entries with dead events can change, so only these are locked.
    """
    numbers = (*batch.retried, *repaired)
    if not numbers:
        return {}
    entries = await _fetch(connection, "frames_known", {key_of(batch.frames[number]) for number in numbers})
    entries |= await _fetch(connection, "frames_locked", [key for key, entry in entries.items() if entry.dead])
    before = {key: entry.dead for key, entry in entries.items()}
    outcomes = {number: _retried(batch, number, entries, repairing) for number in numbers}
    changed = [(*key, _to_json(entry.dead)) for key, entry in sorted(entries.items()) if entry.dead != before[key]]
    if changed:
        await connection.execute(statement("frames_set_dead"), *zip(*changed, strict=True))
    return outcomes


def _retried(batch: Batch, number: int, entries: dict[Key, LedgerEntry], repairing: bool) -> Stored:
    """A repaired frame is retried with all its events. One that is dead as a whole stays so until all are retried."""
    frame = batch.frames[number]
    rejections = batch.rejections[number]
    entry = entries.get(key_of(frame))
    if entry is None:
        return Stored(frame, rejections, earlier=frame.entry.id)
    wanted = frame.retry | {None} if len(frame.retry) >= frame.events else frame.retry
    retried = {one.index for one in entry.dead if not frame.retry or one.index in wanted}
    whole = None in retried
    again = [one for one in rejections if whole or one.index in retried]
    entry.dead = [one for one in entry.dead if one.index not in retried] + again
    return Stored(frame, rejections if repairing else again, known=not retried, earlier=frame.entry.id)


async def _fetch(connection: Connection, name: str, keys: Iterable[Key]) -> dict[Key, LedgerEntry]:
    wanted = sorted(keys)
    if not wanted:
        return {}
    records = await connection.fetch(statement(name), *zip(*wanted, strict=True))
    return {
        _key(record): LedgerEntry(record["digest"], record["entry_id"].encode(), _from_json(record["dead"]))
        for record in records
    }


def _key(record: Any) -> Key:
    return record["emitter_id"], record["partition"], record["seq"]


def _to_json(dead: Sequence[Rejection]) -> str:
    return orjson.dumps([_dead_event(one) for one in dead]).decode()


def _dead_event(one: Rejection) -> dict[str, Any]:
    facts = {"index": one.index, "reason": one.reason, "error": storable(one.error)}
    return facts | {"trace_id": one.trace_id} if one.trace_id else facts


def _from_json(dead: str) -> list[Rejection]:
    return [Rejection(one["index"], one["reason"], one["error"], one.get("trace_id")) for one in orjson.loads(dead)]
