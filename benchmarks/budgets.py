"""The budgets: what each figure must be and should be, and how a figure stands to them."""

from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final


@dataclass(frozen=True, slots=True)
class Budget:
    """A line of the table. A figure may be `must` at most, or at least where `more` is better.

    Without limits it is what stands beside the others: a peer, or what the machine can do at best.
    """

    measure: str
    unit: str
    must: float | None = None
    goal: float | None = None
    more: bool = False

    def holds(self, figure: float, limit: float) -> bool:
        return figure >= limit if self.more else figure <= limit


BUDGETS: Final = {
    "span": Budget("captured async span, caller's thread", "of OpenTelemetry's", 1 / 6, 1 / 9),
    "opentelemetry": Budget("OpenTelemetry SDK, inputs and outputs as two attributes", "us a span"),
    "logfire": Budget("Logfire, `@instrument(record_return=True)`", "us a span"),
    "langfuse": Budget("Langfuse, `@observe`", "us a span"),
    "caller": Budget("one `orjson.dumps` of the same values and two clock reads", "us a span"),
    "outside": Budget("decorated, outside a trace", "us above the bare call", 0.6, 0.3),
    "bot": Budget("all processor time in the bot, publishing included", "us a span", 10, 6),
    "xadd": Budget("plain XADD of prebuilt frames", "spans/s", more=True),
    "stall": Budget("loop stall with a frozen Redis, 10 MB values, 10k spans/s", "ms more at p99.9", 2, 1),
    "drain": Budget("worker draining a backlog", "of plain COPY", 0.4, 0.6, more=True),
    "worker": Budget("processor time of the worker", "us a span", 15, 8),
    "end_to_end": Budget("end to end, a bot's step to its row, one worker", "times the peer's", 100, 250, more=True),
    "agenta": Budget("worker on a full stream", "times Agenta's", 50, 100, more=True),
    "redis": Budget("Redis memory, varied text", "of one plain entry an event", 1 / 3, 1 / 5),
    "latency": Budget("span end to row visible, 1,000 spans/s", "ms at p99", 500, 200),
    "growth": Budget("drain rate at ten million spans", "of that at none", 0.8, 0.95, more=True),
    "trace_list": Budget("list of 50 traces of an hour, at ten million spans", "ms at p95", 50, 15),
    "one_trace": Budget("one trace with its spans, at ten million spans", "ms at p95", 50, 15),
    "memory": Budget("worker draining a million spans", "MB at its peak", 300, 150),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured for a budget: one value a round. `detail` says beside what."""

    budget: str
    rounds: list[float]
    detail: str = ""

    @property
    def value(self) -> float:
        return median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """Quartiles; of one round the round itself."""
        if len(self.rounds) == 1:
            return self.value, self.value
        low, _, high = quantiles(self.rounds, n=4, method="inclusive")
        return low, high

    @property
    def verdict(self) -> str:
        budget = BUDGETS[self.budget]
        if budget.must is None or budget.goal is None:
            return "-"
        if budget.holds(self.value, budget.goal):
            return "goal"
        return "must" if budget.holds(self.value, budget.must) else "missed"
