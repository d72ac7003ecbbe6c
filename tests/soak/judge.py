"""The verdict of a soak: the journals beside the rows, event by event, and what `tracequeue audit` says."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from tests.soak.bot import NO_SPAN, RECORD, REFUSED, REFUSED_EVERY
from tests.soak.deployment import Deployment
from tracequeue.keys import dead_key

JOURNAL = "CREATE UNLOGGED TABLE public.soak_journal (trace_id uuid, span_id text, life integer, number integer)"
COLUMNS = ("trace_id", "span_id", "life", "number")
RECORDS_AT_ONCE = 10_000
LOST_SPANS = """
SELECT count(*) FROM public.soak_journal AS journal WHERE span_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM public.pipeline_spans AS span WHERE span.span_id = journal.span_id AND span.trace_id = journal.trace_id
)"""
LOST_TRACES = """
SELECT coalesce(sum(CASE WHEN trace.trace_id IS NULL THEN 2 WHEN trace.status IS NULL THEN 1 ELSE 0 END), 0)
FROM public.soak_journal AS journal LEFT JOIN public.pipeline_traces AS trace USING (trace_id)
WHERE journal.span_id IS NULL"""
STRANGE_SPANS = f"""
SELECT count(*) FROM public.pipeline_spans AS span LEFT JOIN public.soak_journal AS journal USING (trace_id, span_id)
WHERE journal.span_id IS NULL
    OR span.status <> 'ok'
    OR span.span_name <> CASE WHEN number % {REFUSED_EVERY} = 0 THEN '{REFUSED}' ELSE 'step:' || number % 7 END
    OR span.output_data IS DISTINCT FROM
        jsonb_build_object('life', life, 'number', number, 'text', md5(life || ':' || number))"""
STRANGE_TRACES = """
SELECT count(*) FROM public.pipeline_traces AS trace
LEFT JOIN public.soak_journal AS journal ON journal.trace_id = trace.trace_id AND journal.span_id IS NULL
WHERE journal.trace_id IS NULL OR trace.status <> 'ok' OR trace.telegram_id <> 42"""
DOUBLED = """
SELECT (SELECT count(*) - count(DISTINCT span_id) FROM public.pipeline_spans)
     + (SELECT count(*) - count(DISTINCT trace_id) FROM public.pipeline_traces)"""
LONGEST_PAUSE = """
SELECT max(pause) FROM (SELECT committed_at - lag(committed_at) OVER (ORDER BY committed_at) AS pause
FROM public.pipeline_frames) AS pauses"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """In events, unless it says otherwise."""

    spans: int
    traces: int
    span_rows: int
    trace_rows: int
    lost: int
    """Neither a row nor a counted drop."""
    dropped: int
    doubled: int
    """Rows."""
    strange: int
    """Rows that nobody handed over, or with other content."""
    spooled: int
    """That took the way over a disk."""
    dead_letters: int
    """Letters that are left."""
    foreign: int
    """Entries that are no frames: each must be one of those letters."""
    pending: int
    """Frames unread or pending, and files of the spool."""
    audit: int
    """The exit code of `tracequeue audit`."""
    longest_pause: timedelta
    """Between two commits."""
    starts_in_vain: int
    """Of workers, while a server was away."""
    crashes: tuple[str, ...]

    @property
    def complaints(self) -> list[str]:
        """Why the soak failed; empty when everything is as promised."""
        wrong = {
            f"{self.lost} events lost": self.lost,
            f"{self.doubled} rows doubled": self.doubled,
            f"{self.strange} rows differ from what was handed over": self.strange,
            f"{self.pending} frames not settled": self.pending,
            f"{self.dead_letters} dead letters instead of {self.foreign}": self.dead_letters != self.foreign,
            f"tracequeue audit exits with {self.audit}": self.audit,
        }
        return [*(text for text, is_so in wrong.items() if is_so), *self.crashes]


async def judge(site: Deployment) -> Verdict:
    """When all is healed, the bots have stopped and nothing waits."""
    async with site.connected() as connection:
        await connection.execute(JOURNAL)
        for life in range(1, site.lives + 1):
            for records in _portions(site.journal(life), life):
                await connection.copy_records_to_table("soak_journal", records=records, columns=COLUMNS)
        await connection.execute("CREATE INDEX ON public.soak_journal (trace_id, span_id)")
        await connection.execute("ANALYZE public.soak_journal; ANALYZE public.pipeline_spans")
        facts = await _facts(connection)
    async with site.client() as client:
        dead_letters = await client.xlen(dead_key("tracequeue", 0))
    code, found = await site.command("audit", "--json", "--spool", str(site.spool))
    dropped = sum(_dropped(site.journal(life)) for life in range(1, site.lives + 1))
    return Verdict(
        **facts | {"lost": facts["lost"] - dropped},
        dropped=dropped,
        spooled=sum(one["ever_spooled"] for one in json.loads(found)["emitters"]) if found else 0,
        dead_letters=dead_letters,
        foreign=site.foreign,
        pending=sum(one.unread + one.pending for one in await site.backlog()) + (not site.spool_is_empty()),
        audit=code,
        starts_in_vain=site.starts_in_vain,
        crashes=tuple(site.crashes),
    )


async def _facts(connection: asyncpg.Connection) -> dict[str, Any]:
    return {
        "spans": await connection.fetchval("SELECT count(span_id) FROM public.soak_journal"),
        "traces": await connection.fetchval("SELECT count(*) FROM public.soak_journal WHERE span_id IS NULL"),
        "span_rows": await connection.fetchval("SELECT count(*) FROM public.pipeline_spans"),
        "trace_rows": await connection.fetchval("SELECT count(*) FROM public.pipeline_traces"),
        "lost": await connection.fetchval(LOST_SPANS) + int(await connection.fetchval(LOST_TRACES)),
        "strange": await connection.fetchval(STRANGE_SPANS) + await connection.fetchval(STRANGE_TRACES),
        "doubled": await connection.fetchval(DOUBLED),
        "longest_pause": await connection.fetchval(LONGEST_PAUSE) or timedelta(),
    }


def _portions(journal: Path, life: int) -> Iterator[list[tuple[UUID, str | None, int, int]]]:
    """The journal of a life, never as a whole in memory. A life may have ended before it began one."""
    if not journal.exists():
        return
    with journal.open("rb") as file:
        while portion := file.read(RECORD.size * RECORDS_AT_ONCE):
            yield [
                (UUID(bytes=trace_id), None if span_id == NO_SPAN else span_id.hex(), life, number)
                for trace_id, span_id, number in RECORD.iter_unpack(portion)
            ]


def _dropped(journal: Path) -> int:
    stats = journal.with_suffix(".json")
    return sum(json.loads(stats.read_text())["dropped"].values()) if stats.exists() else 0
