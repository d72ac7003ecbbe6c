"""How late the event loop is, by a ticker of a millisecond, while a bot records 10,000 spans a second and a 10 MB value
every tenth of a second, and Redis answers nothing. In turn with the same work, untraced.
"""

import asyncio
import socket
from collections.abc import Callable
from statistics import quantiles
from typing import Any

from benchmarks.budgets import Figure
from tracequeue import TraceContext, init_collector, traced_span

ROUNDS, SECONDS, TICK = 5, 4.0, 0.001
SPANS_A_TICK, LARGE_EVERY = 10, 100
LARGE = "x" * 10_000_000


async def bare(text: str) -> str:
    return text


traced = traced_span("agent:trainer")(bare)


async def lateness(step: Callable[[str], Any]) -> list[float]:
    """Milliseconds, one a tick."""
    late: list[float] = []
    loop = asyncio.get_running_loop()
    until, due, number = loop.time() + SECONDS, loop.time() + TICK, 0
    async with TraceContext("benchmark"):
        while loop.time() < until:
            await asyncio.sleep(due - loop.time())
            late.append((loop.time() - due) * 1000)
            due = max(due + TICK, loop.time())
            number += 1
            for _ in range(SPANS_A_TICK):
                await step("what shall I do tomorrow? ")
            if number % LARGE_EVERY == 0:
                await step(LARGE)
    return late


def worst_of(late: list[float]) -> float:
    """The 99.9th of a hundred."""
    return quantiles(late, n=1000)[-1]


async def measured(port: int) -> tuple[list[float], list[float]]:
    collector = init_collector(redis_url=f"redis://127.0.0.1:{port}/0", buffer_bytes=8 * 1024 * 1024)
    await lateness(traced)  # the first large value of a call site costs milliseconds once, as README says
    without, with_traces = [], []
    for _ in range(ROUNDS):
        without.append(worst_of(await lateness(bare)))
        with_traces.append(worst_of(await lateness(traced)))
    await collector.stop(timeout=1)
    print(f"p99.9 of a tick's lateness in ms: untraced {_shown(without)}, traced {_shown(with_traces)}")
    return without, with_traces


def _shown(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def measure() -> list[Figure]:
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # it accepts, and never answers
        without, with_traces = asyncio.run(measured(frozen.getsockname()[1]))
    more = [ours - bare for ours, bare in zip(with_traces, without, strict=True)]
    return [Figure("stall", more, "in turn with the same work untraced")]


if __name__ == "__main__":
    print(measure())
