"""How late the event loop is, by a ticker of a millisecond, while a bot records 10,000 spans a second, and every tenth
of a second a value that is huge or hostile. In turn with the same work, untraced; with a Redis that answers nothing,
which is judged, and with one that answers.
"""

import asyncio
import gc
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

from benchmarks.budgets import Figure
from tracequeue import TraceContext, init_collector, traced_span
from tracequeue_worker.embedded.redis import embedded_redis

ROUNDS, SECONDS, TICK, CALLS = 5, 3.0, 0.001, 21
SPANS_A_TICK, ODD_EVERY = 10, 100
Step = Callable[[Any], Any]


class Hostile:
    def _raise(self, *_: object) -> Any:
        raise SystemExit("a user's code may raise anything")

    __repr__ = __str__ = __len__ = __iter__ = __getattr__ = __bool__ = _raise  # type: ignore[assignment]


class Wordy:
    WORDS: Final = "y" * 10_000_000

    def __repr__(self) -> str:
        return self.WORDS


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def endless() -> dict[str, Any]:
    value: dict[str, Any] = {"text": "round and round"}
    value["again"] = value
    return value


ODD: Final[dict[str, Any]] = {
    "text of 10 MB": "x" * 10_000_000,
    "bytes of 10 MB": b"\xff" * 10_000_000,
    "a million numbers": list(range(1_000_000)),
    "100,000 messages": [{"role": "user", "content": f"message {number}, " * 5} for number in range(100_000)],
    "an object that raises": [Hostile(), {"hostile": Hostile()}],
    "100,000 levels deep": deep(100_000),
    "itself inside": endless(),
    "a repr of 10 MB": Wordy(),
}


async def bare(value: Any) -> None:
    """The work: none. What it is given is recorded."""


def steps_of(wrap: Callable[[str], Callable[[Step], Step]]) -> tuple[Step, list[tuple[Step, Any]]]:
    """The ordinary step, and each odd value with a step of its own: a call site learns from its values."""
    return wrap("agent:trainer")(bare), [(wrap(name)(bare), value) for name, value in ODD.items()]


async def lateness(step: Step, odd: list[tuple[Step, Any]]) -> list[float]:
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
            if number % ODD_EVERY == 0:
                odd_step, value = odd[number // ODD_EVERY % len(odd)]
                await odd_step(value)
    return late


def worst_of(late: list[float]) -> float:
    """The 99.9th of a hundred."""
    return quantiles(late, n=1000)[-1]


async def rounds(redis_url: str) -> tuple[list[float], list[float]]:
    """Untraced and traced, in turn."""
    collector = init_collector(redis_url=redis_url, prefix=uuid4().hex)
    untraced, traced = steps_of(lambda _: lambda step: step), steps_of(traced_span)
    await lateness(*traced)  # the first large value of a call site costs milliseconds once, as README says
    without, with_traces = [], []
    for _ in range(ROUNDS):
        without.append(worst_of(await lateness(*untraced)))
        with_traces.append(worst_of(await lateness(*traced)))
    await show_calls(traced[1])
    await collector.stop(timeout=1)
    return without, with_traces


async def show_calls(odd: list[tuple[Step, Any]]) -> None:
    """What one call costs its caller."""
    async with TraceContext("benchmark"):
        for (step, value), name in zip(odd, ODD, strict=True):
            took = []
            for _ in range(CALLS):
                started = perf_counter()
                await step(value)
                took.append((perf_counter() - started) * 1000)
            print(f"    {name:24} {median(took):6.2f} ms, at most {max(took):.2f}")


@contextmanager
def frozen_redis() -> Iterator[str]:
    """It accepts, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        yield f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"


def more(name: str, redis_url: str) -> list[float]:
    without, with_traces = asyncio.run(rounds(redis_url))
    shown = (", ".join(f"{value:.2f}" for value in values) for values in (without, with_traces))
    print("{}: p99.9 of a tick's lateness in ms: untraced {}, traced {}".format(name, *shown))
    return [ours - bare for ours, bare in zip(with_traces, without, strict=True)]


def measure() -> list[Figure]:
    gc.freeze()  # the odd values are many objects: looking through them is not what is measured
    with tempfile.TemporaryDirectory() as folder, embedded_redis(Path(folder)) as redis_url:
        answering = more("a Redis that answers", redis_url)
    with frozen_redis() as redis_url:
        silent = more("a frozen Redis", redis_url)
    return [Figure("stall", silent, f"{median(answering):.2f} ms with a Redis that answers")]


if __name__ == "__main__":
    print(measure())
