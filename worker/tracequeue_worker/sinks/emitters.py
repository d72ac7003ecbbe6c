"""The accounts of the emitters in a batch."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from tracequeue.events import INT64
from tracequeue.frame import Account
from tracequeue_worker.database import Connection
from tracequeue_worker.records import DecodedFrame
from tracequeue_worker.sinks.batch import description, text
from tracequeue_worker.sql import statement


async def merge_accounts(connection: Connection, frames: Iterable[DecodedFrame]) -> None:
    """Bring the emitters' rows up to date, each once, in the order of their ids."""
    newest: dict[UUID, tuple[Any, ...]] = {}
    for frame in frames:
        if not frame.anonymous:
            newest[frame.emitter_id] = _merged(newest.get(frame.emitter_id), frame)
    if not newest:
        return
    rows = [(emitter_id, *seen, orjson.dumps(lost).decode()) for emitter_id, (*seen, lost) in sorted(newest.items())]
    query = statement("emitters_merge").format(seen=statement("emitters_seen"))
    await connection.execute(query, *zip(*rows, strict=True))


def _merged(earlier: tuple[Any, ...] | None, frame: DecodedFrame) -> tuple[Any, ...]:
    """What the emitter says of itself, and by maximum when it was last seen (milliseconds) and its account."""
    account = frame.account or Account()
    counts = (account.emitted, account.spooled, min(sum(account.lost.values()), INT64 - 1))
    lost = {text(reason) or "": count for reason, count in account.lost.items()}
    if earlier is None:
        names = description(frame, "service", "environment", "release", "host")
        return (*names, _pid(frame), _started_at(frame), _seen(frame), *counts, lost)
    *described, seen, emitted, spooled, dropped, lost_before = earlier
    for reason, count in lost_before.items():
        lost[reason] = max(count, lost.get(reason, 0))
    return (*described, max(seen, _seen(frame)), *map(max, (emitted, spooled, dropped), counts), lost)


def _pid(frame: DecodedFrame) -> int | None:
    value = frame.meta.get("pid")
    return value if type(value) is int and 0 <= value < INT64 else None


def _started_at(frame: DecodedFrame) -> datetime | None:
    """From RFC 3339 text with an offset; None where it is anything else, or not within the calendar in UTC."""
    try:
        moment = datetime.fromisoformat(text(frame.meta.get("started_at")) or "")
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _seen(frame: DecodedFrame) -> int:
    """When Redis took the entry, from its id: a replay of old entries does not make an emitter look alive."""
    milliseconds = frame.entry.id.partition(b"-")[0]
    now = time.time_ns() // 1_000_000
    return min(int(milliseconds), now) if milliseconds.isdigit() else now
