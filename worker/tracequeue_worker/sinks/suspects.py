"""Rows that end their backend or hold it up whenever they are written, though other rows can be written meanwhile.

Such a failure looks like an outage. So nothing is concluded from one: a row is a suspect if it fails alone, time after
time, while before and after each time a harmless row of the same size and the same day can be written.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import uuid4

from tracequeue_worker.classify import failure
from tracequeue_worker.errors import Poison, Transient
from tracequeue_worker.records import SpanRow, TraceRow
from tracequeue_worker.sinks.batch import Refusal, StagedRow
from tracequeue_worker.sinks.isolation import Attempt, find_refused

ROUNDS: Final = 4
PROBE_NAME: Final = "tracequeue.probe"


async def find_suspects(
    rows: Sequence[StagedRow], attempt: Attempt, stand_in: Callable[[StagedRow], StagedRow]
) -> list[Refusal]:
    """The suspects among rows that cannot be written together, and those that are refused. Raises what `attempt` raises
    of a harmless row: then the store is to blame."""

    async def judge(some: Sequence[StagedRow]) -> None:
        reason = None
        for _ in range(ROUNDS if len(some) == 1 else 1):
            await attempt([stand_in(some[0])])
            reason = await _failure(attempt(some))
            if reason is None:
                return
        await attempt([stand_in(some[0])])
        raise Poison(f"fails whenever it is written, while others can be: {reason}", code="suspect")

    return await find_refused(rows, judge)


async def _failure(attempt: Awaitable[None]) -> Transient | None:
    """What a row may have caused. Other failures are raised."""
    try:
        await attempt
    except Poison:
        raise
    except Exception as error:
        reason = failure(error)
        if isinstance(reason, Transient) and reason.may_be_a_record:
            return reason
        raise reason from error
    return None


def harmless_span(row: StagedRow) -> StagedRow:
    """A span of the same size that starts at the same time, and that has nothing else of the row."""
    start = row[1 + SpanRow._fields.index("start_time")]
    return (
        0, 0, str(uuid4()), uuid4().hex[:16], None, PROBE_NAME, None, start, start, 0.0, "ok", True, None,
        _filling(row), None, None, None,
    )  # fmt: skip


def harmless_trace(row: StagedRow) -> StagedRow:
    """A trace of the same size that starts at the same time, and that has nothing else of the row."""
    start = row[1 + TraceRow._fields.index("start_time")]
    trace = TraceRow(
        0, str(uuid4()), start, PROBE_NAME, None, None, None, None, None, None, None, None, None, None,
        _filling(row), None, None,
    )  # fmt: skip
    return (0, *trace, None, None, None, None)


def _filling(row: StagedRow) -> str:
    return f'"{"x" * sum(len(value) for value in row if isinstance(value, str | bytes))}"'
