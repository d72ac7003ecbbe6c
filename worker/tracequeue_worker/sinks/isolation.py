"""Which rows of a batch the store refuses."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from tracequeue_worker.errors import Poison
from tracequeue_worker.sinks.batch import Refusal, StagedRow

Attempt: TypeAlias = Callable[[Sequence[StagedRow]], Awaitable[None]]
"""Tries rows, stores nothing, and raises `Poison` where one of them is refused."""


async def find_refused(rows: Sequence[StagedRow], attempt: Attempt, most: int | None = None) -> list[Refusal]:
    """Try rows until all that are refused are found, or `most` of them; the first rows are tried first.

    Where the error names the line, the rest is tried on both sides of it, behind it in halves, so that a batch of
    nothing but refused rows is not sent whole for each of them. Where it does not, halves find the row.
    """
    refused: list[Refusal] = []
    ranges = [(0, len(rows))]
    while ranges and (most is None or len(refused) < most):
        start, end = ranges.pop()
        if start == end:
            continue
        try:
            await attempt(rows[start:end])
        except Poison as poison:
            line = _line_within(poison, end - start)
            if line is None:
                middle = (start + end) // 2
                ranges += [(middle, end), (start, middle)]
                continue
            bad = start + line - 1
            middle = (bad + 1 + end) // 2
            refused.append((rows[bad], poison.code, str(poison)))
            ranges += [(middle, end), (bad + 1, middle), (start, bad)]
    return refused


def _line_within(poison: Poison, size: int) -> int | None:
    if size == 1:
        return 1
    return poison.line if poison.line is not None and 1 <= poison.line <= size else None
