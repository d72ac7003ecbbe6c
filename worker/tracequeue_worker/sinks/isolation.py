"""Which rows of a batch the store refuses."""

from collections.abc import Awaitable, Callable, Sequence

from tracequeue_worker.errors import Poison
from tracequeue_worker.sinks.batch import Refusal, StagedRow


async def find_refused(
    rows: Sequence[StagedRow], attempt: Callable[[Sequence[StagedRow]], Awaitable[None]]
) -> list[Refusal]:
    """Try rows until all that are refused are found. `attempt` stores nothing and raises `Poison`.

    Where the error names the line, the rest is tried on both sides of it, behind it in halves, so that a batch of
    nothing but refused rows is not sent whole for each of them. Where it does not, halves find the row.
    """
    refused: list[Refusal] = []
    ranges = [(0, len(rows))]
    while ranges:
        start, end = ranges.pop()
        if start == end:
            continue
        try:
            await attempt(rows[start:end])
        except Poison as poison:
            line = _line_within(poison, end - start)
            if line is None:
                middle = (start + end) // 2
                ranges += [(start, middle), (middle, end)]
                continue
            bad = start + line - 1
            middle = (bad + 1 + end) // 2
            refused.append((rows[bad], poison.code, str(poison)))
            ranges += [(start, bad), (bad + 1, middle), (middle, end)]
    return refused


def _line_within(poison: Poison, size: int) -> int | None:
    if size == 1:
        return 1
    return poison.line if poison.line is not None and 1 <= poison.line <= size else None
