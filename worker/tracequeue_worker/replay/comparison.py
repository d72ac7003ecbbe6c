"""What a batch brought, beside what stands in the target under the same keys once the batch is written.

Both sides are hashed by the target's server, in the transaction of the rows: JSON counts as equal where jsonb is.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tracequeue_worker.database import Connection
from tracequeue_worker.sql import statement

FOR_THESE_TIMES = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off"
"""A plan for any times would lock the partitions of all days. Made anew each time, it would be compiled each time too,
where the server has a compiler: that takes longer than the plan runs."""

Running = Sequence[tuple[UUID, datetime]]
"""Ids and starts of traces."""


async def running_traces(connection: Connection) -> Running:
    """The stored traces that staged events are about to end. Asked for after staging, before the rows are written: only
    then can be told afterwards which ends are new."""
    await connection.execute(FOR_THESE_TIMES)
    times = await _times(connection, "staged_traces")
    rows = await connection.fetch(statement("replay_traces_running"), *times) if times else []
    return [(row["trace_id"], row["began"]) for row in rows]


async def compare(connection: Connection, replay_id: UUID, frames: Sequence[int], running: Running) -> int:
    """Compare the staged rows of some frames of a batch with what is stored, and add it to what the replay found.

    In the transaction that wrote them, after they are in. Every event counts, also one that comes twice in the batch.
    Returns for how many events this transaction wrote the row.
    """
    await connection.execute(FOR_THESE_TIMES)
    spans = await _compare(connection, "staged_spans", "spans", replay_id, frames)
    starts = await _compare(connection, "staged_traces", "starts", replay_id, frames)
    columns = list(zip(*running, strict=True)) or [(), ()]
    ends = await _compare(connection, "staged_traces", "ends", replay_id, frames, *columns)
    return spans + starts + ends


async def _compare(
    connection: Connection, table: str, kind: str, replay_id: UUID, frames: Sequence[int], *more: Any
) -> int:
    times = await _times(connection, table)
    if times is None:
        return 0
    query = statement("replay_days_add").format(compared=statement(f"replay_compared_{kind}"))
    return int(await connection.fetchval(query, replay_id, kind, list(frames), *times, *more))


async def _times(connection: Connection, table: str) -> tuple[datetime, datetime] | None:
    """When the first and the last staged row of a table start; None where there is none."""
    (row,) = await connection.fetch(statement("staged_times").format(table=table))
    return None if row["first"] is None else (row["first"], row["last"])
