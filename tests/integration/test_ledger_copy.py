"""What another database's ledger says, in this one's: nothing that is known here is changed, and accounts only grow."""

from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import orjson
import pytest

from tracequeue_worker.errors import Damaged
from tracequeue_worker.replay.bookkeeping import Bookkeeping
from tracequeue_worker.replay.ledger_copy import copy_ledger

EMITTER = str(uuid4())
Pruned: TypeAlias = tuple[str, int, int]
"""Numbers, their events, and how many of these are dead letters."""


def emitter(**changes: Any) -> dict[str, Any]:
    facts = {
        "emitter_id": EMITTER, "service": "bot", "environment": None, "release": None, "host": "h", "pid": 5,
        "started_at": "2026-11-01T10:00:00+00:00", "last_seen": "2026-11-02T10:00:00+00:00", "emitted": 10,
        "spooled": 3, "dropped": 2, "lost": {"queue_full": 2},
    }  # fmt: skip
    return facts | changes


def frame(**changes: Any) -> dict[str, Any]:
    facts = {
        "emitter_id": EMITTER, "partition": 0, "seq": 1, "digest": "\\x00ff", "stream": "s", "entry_id": "1-1",
        "events": 3, "dead": [{"index": 0, "reason": "schema", "error": "e"}],
        "committed_at": "2026-11-02T10:00:00.123456+00:00",
    }  # fmt: skip
    return facts | changes


async def rows(database: asyncpg.Connection, table: str) -> list[dict[str, Any]]:
    """As an export writes them."""
    return [orjson.loads(row[0]) for row in await database.fetch(f"SELECT to_jsonb(kept)::text FROM {table} AS kept")]


async def test_rows_come_out_as_they_went_in(database: asyncpg.Connection) -> None:
    settled = {
        "emitter_id": EMITTER,
        "partition": 1,
        "numbers": "{[1,5),[9,12)}",
        "events": 9,
        "dead": 1,
        "stream": "s",
    }
    conflict = {name: value for name, value in frame().items() if name not in ("dead", "committed_at")}
    conflict["detected_at"] = "2026-11-02T10:00:00+00:00"
    for _ in range(2):
        await copy_ledger(database, Bookkeeping([frame()], [settled], [emitter()], [conflict]))
        assert await rows(database, "pipeline_frames") == [frame()]
        assert await rows(database, "pipeline_settled") == [settled]
        assert await rows(database, "pipeline_emitters") == [emitter()]
        assert await rows(database, "pipeline_conflicts") == [conflict]


async def test_what_is_known_here_stays(database: asyncpg.Connection) -> None:
    await copy_ledger(database, Bookkeeping([frame(dead=[], digest="\\x11")]))
    await copy_ledger(database, Bookkeeping([frame(), frame(seq=2)]))
    assert [(one["seq"], one["digest"], one["dead"]) for one in await rows(database, "pipeline_frames")] == [
        (1, "\\x11", []),
        (2, "\\x00ff", frame()["dead"]),
    ]


async def test_accounts_are_merged_by_maximum(database: asyncpg.Connection) -> None:
    newer = emitter(
        emitted=20, dropped=5, lost={"queue_full": 1, "too_large": 4}, last_seen="2026-11-03T10:00:00+00:00"
    )
    expected = newer | {"lost": {"queue_full": 2, "too_large": 4}}
    for one in (emitter(), newer, emitter()):
        await copy_ledger(database, Bookkeeping(emitters=[one]))
    assert await rows(database, "pipeline_emitters") == [expected]


async def test_what_was_pruned_here_does_not_come_back(database: asyncpg.Connection) -> None:
    """Its events would be counted twice."""
    pruned = {"emitter_id": EMITTER, "partition": 0, "numbers": "{[1,3)}", "events": 6, "dead": 0, "stream": "s"}
    await copy_ledger(database, Bookkeeping(settled=[pruned]))
    await copy_ledger(database, Bookkeeping([frame(), frame(seq=2), frame(seq=3)]))
    assert [one["seq"] for one in await rows(database, "pipeline_frames")] == [3]


@pytest.mark.parametrize(
    ("here", "there", "both"),
    [
        (("{[1,6)}", 25, 1), ("{[1,26)}", 105, 2), ("{[1,26)}", 105, 2)),
        (("{[1,26)}", 105, 2), ("{[1,6)}", 25, 1), ("{[1,26)}", 105, 2)),
        (("{[1,26)}", 105, 2), ("{[1,26)}", 105, 2), ("{[1,26)}", 105, 2)),
        (("{[1,6)}", 25, 1), ("{[6,8),[9,11)}", 20, 1), ("{[1,8),[9,11)}", 45, 2)),
        (("{[1,6)}", 25, 1), ("{[3,9)}", 30, 0), ("{[1,6)}", 25, 1)),
    ],
)
async def test_what_both_have_pruned_counts_once(
    database: asyncpg.Connection, here: Pruned, there: Pruned, both: Pruned
) -> None:
    """As the writer, who copies it."""
    await database.execute("SET ROLE tracequeue_writer")
    for one in (here, there):
        facts = dict(zip(("numbers", "events", "dead"), one, strict=True))
        pruned = {"emitter_id": EMITTER, "partition": 0, "stream": "s"} | facts
        await copy_ledger(database, Bookkeeping(settled=[pruned]))
    (kept,) = await rows(database, "pipeline_settled")
    assert (kept["numbers"], kept["events"], kept["dead"]) == both


@pytest.mark.parametrize(
    "copied",
    [
        Bookkeeping([frame(emitter_id="nobody")]), Bookkeeping([frame(seq=2**70)]), Bookkeeping([frame(digest=None)]),
        Bookkeeping([{}]), Bookkeeping(emitters=[emitter(last_seen="soon")]), Bookkeeping(settled=[{"numbers": "1"}]),
        Bookkeeping([frame(stream="\x00")]),
    ],
)  # fmt: skip
async def test_a_ledger_that_lies_is_damaged(database: asyncpg.Connection, copied: Bookkeeping) -> None:
    with pytest.raises(Damaged, match="the ledger in the file is not as it must be"):
        await copy_ledger(database, copied)
