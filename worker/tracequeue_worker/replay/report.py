"""The report of a replay, from the figures that it left in the target."""

from collections.abc import Sequence
from uuid import UUID

import orjson

from tracequeue_worker.database import Connection
from tracequeue_worker.replay.models import DayComparison, Gap, ReplayReport
from tracequeue_worker.sql import statement


async def read_report(
    connection: Connection,
    replay_id: UUID,
    *,
    target: str,
    resumed: bool,
    seconds: float,
    left_out: int,
    gaps: Sequence[Gap],
    shortfalls: Sequence[str],
) -> ReplayReport:
    """All figures are of the whole replay, but for `seconds` and `left_out`, which are of this run."""
    (figures,) = await connection.fetch(statement("replay_figures"), replay_id)
    days = await connection.fetch(statement("replay_days"), replay_id)
    return ReplayReport(
        **(dict(figures) | {"dead": orjson.loads(figures["dead"])}),
        replay_id=replay_id,
        target=target,
        resumed=resumed,
        seconds=seconds,
        left_out=left_out,
        days=[DayComparison(**row) for row in days],
        gaps=list(gaps),
        shortfalls=list(shortfalls),
    )
