"""Frames that a replay should have met: numbers that neither it read nor the target's ledger knows."""

from uuid import UUID

from tracequeue_worker.database import Connection
from tracequeue_worker.replay.models import Gap
from tracequeue_worker.sql import statement


async def find_gaps(connection: Connection, replay_id: UUID, *, from_the_middle: bool) -> list[Gap]:
    """Of each emitter of which the replay read frames, below the highest number that it read. What comes behind may be
    on its way.

    `from_the_middle`: the replay was asked to begin later than the source does, so that nothing before the first number
    that it read is missed. Ask before the replay is finished: then its numbers are forgotten.
    """
    rows = await connection.fetch(statement("replay_gaps"), replay_id, from_the_middle)
    return [Gap(**row) for row in rows]
