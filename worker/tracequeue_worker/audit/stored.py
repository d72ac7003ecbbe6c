"""What the store says of the emitters' accounts, all of one moment."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from tracequeue_worker.audit.frame_numbers import FrameNumbers, Range
from tracequeue_worker.audit.waiting import Place
from tracequeue_worker.read_models import EmitterAccount, Loss
from tracequeue_worker.sql import statement

WaitingRange = tuple[UUID, Place, int, int, int]
"""Emitter, place, partition, first and last number."""


@dataclass(frozen=True, slots=True)
class StoredAccounts:
    """`missing` are the frame numbers, by emitter and partition, that neither the store has nor wait anywhere.

    `arrived` counts the events of frames that were found waiting and are stored by now.
    """

    accounts: list[EmitterAccount]
    missing: Mapping[UUID, Mapping[int, list[Range]]]
    arrived: Mapping[tuple[UUID, Place], int]
    losses: list[Loss]


async def stored_accounts(
    pool: asyncpg.Pool, waiting: Iterable[WaitingRange], streams: str, only: UUID | None = None
) -> StoredAccounts:
    """Of one emitter, or of all whose frames came over streams whose names begin so. In one snapshot.

    A million frames in the ledger take about a second.
    """
    emitters, places, partitions, firsts, lasts = list(zip(*waiting, strict=True)) or [()] * 5
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        accounts = await connection.fetch(statement("accounts"), only, streams)
        missing = await connection.fetch(
            statement("frames_missing"), emitters, partitions, firsts, lasts, only, streams
        )
        arrived = await connection.fetch(statement("waiting_settled"), emitters, places, partitions, firsts, lasts)
        losses = [] if only else await connection.fetch(statement("losses"), streams)
    return StoredAccounts(
        [emitter_account(row) for row in accounts],
        _by_emitter(missing),
        {(row["emitter_id"], row["place"]): row["events"] for row in arrived},
        [Loss(**row) for row in losses],
    )


async def pruned_numbers(
    pool: asyncpg.Pool, waiting: Iterable[WaitingRange]
) -> Mapping[tuple[UUID, int], FrameNumbers]:
    """By emitter and partition the numbers that are pruned from the ledger, where some of them wait once more."""
    emitters, _, partitions, firsts, lasts = list(zip(*waiting, strict=True)) or [()] * 5
    rows = await pool.fetch(statement("waiting_pruned"), emitters, partitions, firsts, lasts)
    return {
        (row["emitter_id"], row["partition"]): FrameNumbers.of((one.lower, one.upper - 1) for one in row["numbers"])
        for row in rows
    }


def emitter_account(row: asyncpg.Record) -> EmitterAccount:
    """Of an emitter with too many reasons only the most frequent are kept: the rest is one."""
    fields = dict(row)
    lost, dropped = orjson.loads(fields.pop("lost")), fields.pop("dropped_events")
    if unnamed := max(0, dropped - sum(lost.values())):
        lost["other"] = lost.get("other", 0) + unnamed
    return EmitterAccount(lost=lost, **fields)


def _by_emitter(rows: Iterable[Any]) -> dict[UUID, dict[int, list[Range]]]:
    missing: defaultdict[UUID, dict[int, list[Range]]] = defaultdict(dict)
    for row in rows:
        missing[row["emitter_id"]][row["partition"]] = [(one.lower, one.upper - 1) for one in row["missing"]]
    return dict(missing)
