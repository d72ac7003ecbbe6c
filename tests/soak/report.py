"""The report of a soak, as Markdown."""

import os
import platform
from collections.abc import Iterator

import psutil

from tests.soak.deployment import CLAIM_SECONDS, KEPT_SECONDS
from tests.soak.faults import FAULTS
from tests.soak.judge import Verdict
from tests.soak.run import Soak

HEAD = f"""# A soak

Written by `make soak`. Bots with a spool and workers run as processes, over a Redis and a Postgres of their own, while
faults of three kinds hit them at the same time: Redis and the way to it, Postgres and the way to it, the processes. A
seed decides their order and their length.

- Redis puts each command on disk before it answers (`appendfsync always`): what it confirmed outlives its death.
- Settled frames are trimmed after {KEPT_SECONDS} s.
- The frames of a worker that is silent for {CLAIM_SECONDS:.0f} s go to another.
- Each bot writes down every event before it hands it over. It is killed by SIGKILL once what it handed over has left
  its memory, for Redis or for its disk; what a kill at any other moment takes stands in
  [guarantees.md](guarantees.md#how-much-a-killed-bot-loses).
- In the end all is healed, the bots stop, refused rows are retried, the workers finish, and every event that was
  written down is looked for among the rows, with its content."""


def report(soak: Soak, verdict: Verdict) -> str:
    """The same figures give the same text; no paths, no names of machines."""
    return "\n".join([HEAD, "", *_figures(soak, verdict), "", *_faults(soak)]) + "\n"


def _figures(soak: Soak, verdict: Verdict) -> Iterator[str]:
    plan = soak.plan
    memory = psutil.virtual_memory().total / 2**30
    figures = {
        "verdict": "; ".join(verdict.complaints) or "**the account closes**",
        "seed": plan.seed,
        "run": f"{plan.seconds:,.0f} s, {plan.bots} bots, {plan.workers} workers",
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}",
        "software": f"Python {platform.python_version()}, {soak.versions['redis']}, {soak.versions['postgres']}",
        "faults": soak.faults.total(),
        "spans handed over": verdict.spans,
        "spans stored": verdict.span_rows,
        "traces handed over": verdict.traces,
        "traces stored": verdict.trace_rows,
        "spans a second": round(verdict.spans / plan.seconds),
        "events that took the way over a disk": verdict.spooled,
        "longest time without a commit": f"{verdict.longest_pause.total_seconds():.1f} s",
        "dropped": verdict.dropped,
        "**lost**": verdict.lost,
        "**stored twice**": verdict.doubled,
        "stored with other content": verdict.strange,
        "unread or pending in the end": verdict.pending,
        "workers that found a server away when they started, and were started again": verdict.starts_in_vain,
        "entries that are no frames, sent": verdict.foreign,
        "dead letters in the end, all of them such entries": verdict.dead_letters,
        "`tracequeue audit`": f"exit {verdict.audit}",
    }
    yield from ("| | |", "|---|---|")
    yield from (f"| {name} | {value:,} |" if isinstance(value, int) and name != "seed" else f"| {name} | {value} |"
                for name, value in figures.items())  # fmt: skip


def _faults(soak: Soak) -> Iterator[str]:
    yield from ("| fault | times |", "|---|---|")
    yield from (f"| {name} | {soak.faults[name]} |" for kinds in FAULTS.values() for name in kinds)
