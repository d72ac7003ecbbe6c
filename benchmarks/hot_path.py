"""What a span costs the bot's own thread: bare call, decorated outside a trace, and recorded inside one.

In the same process and the same rounds, in turn: one `orjson.dumps` of the same values with two clock reads, which is
the physical limit, and the peers, where `make bench-peers` brought them. Medians, microseconds.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from time import monotonic_ns, perf_counter_ns
from typing import Any

import orjson

from benchmarks import peers
from benchmarks.budgets import Figure
from tracequeue import TraceContext, traced_span
from tracequeue import collector as process
from tracequeue.collector import TraceCollector
from tracequeue.settings import EmitterSettings

ROUNDS, CALLS = 15, 5_000
PEERS = ("opentelemetry", "logfire", "langfuse")
PLAN = {"plan": "rest, then a short run. " * 16, "score": 0.5}
ARGUMENTS = ("alice", "what shall I do tomorrow? " * 6, {"mode": "fast", "tries": [1, 2, 3]})

Step = Callable[[str, str, dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another tracer: the traced step, what opens a trace around it, and what waits for its threads between rounds."""

    step: Step
    trace: Callable[[], AbstractContextManager[object]]
    settle: Callable[[], object]


class Draining(TraceCollector):
    """The real collector, whose chunks are taken and given back instead of sent: the publisher is not measured."""

    def _wake(self) -> None:
        for buffer in self._buffers:
            while chunk := buffer.take(partial=False):
                buffer.recycle(chunk)


async def bare(user: str, text: str, options: dict[str, Any]) -> dict[str, Any]:
    return PLAN


async def limit(user: str, text: str, options: dict[str, Any]) -> dict[str, Any]:
    """What recording cannot do without: both clock reads, and the values as JSON once."""
    start = monotonic_ns()
    result = await bare(user, text, options)
    orjson.dumps([start, monotonic_ns(), {"user": user, "text": text, "options": options}, result])
    return result


async def time_of(step: Step) -> float:
    start = perf_counter_ns()
    for _ in range(CALLS):
        await step(*ARGUMENTS)
    return (perf_counter_ns() - start) / CALLS / 1000


async def inside(step: Step) -> float:
    async with TraceContext("benchmark"):
        return await time_of(step)


async def inside_of(peer: Peer) -> float:
    with peer.trace():
        taken = await time_of(peer.step)
    peer.settle()
    return taken


async def measured(others: Mapping[str, Peer]) -> dict[str, list[float]]:
    process.use(Draining(EmitterSettings()))
    traced = traced_span("agent:trainer")(bare)
    ways = {
        "bare call": partial(time_of, bare),
        "outside a trace": partial(time_of, traced),
        "dumps and two clocks": partial(time_of, limit),
        "recorded span": partial(inside, traced),
        **{name: partial(inside_of, peer) for name, peer in others.items()},
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    gc.freeze()  # what a peer loads must not make the collections of another one longer
    for _ in range(ROUNDS):
        for name, way in ways.items():
            times[name].append(await way())
    gc.unfreeze()
    process.use(None)
    return times


def measured_where_peers_are() -> dict[str, list[float]]:
    if not peers.there("caller"):
        return asyncio.run(measured({}))
    rounds: dict[str, list[float]] = orjson.loads(peers.output_of("caller", "caller"))
    return rounds


def measure() -> list[Figure]:
    """Against what is above the bare call in the same round."""
    times = measured_where_peers_are()
    print(f"caller's thread, microseconds per call: median (quartiles) of {ROUNDS} rounds")
    for name, rounds in times.items():
        low, _, high = quantiles(rounds, n=4)
        print(f"  {name:20} {median(rounds):8.2f}  ({low:.2f} - {high:.2f})")
    above = {
        name: [one - bare for one, bare in zip(rounds, times["bare call"], strict=True)]
        for name, rounds in times.items()
    }
    beside = "in turn with the bare call"
    figures = [
        Figure("outside", above["outside a trace"], beside),
        Figure("caller", above["dumps and two clocks"], beside),
        *(Figure(name, above[name], beside) for name in PEERS if name in above),
    ]
    if other := above.get("opentelemetry"):
        ours = above["recorded span"]
        ratios = [mine / theirs for mine, theirs in zip(ours, other, strict=True)]
        figures.append(Figure("span", ratios, f"{median(ours):.1f} us against {median(other):.1f} us"))
    return figures


if __name__ == "__main__":
    measure()
