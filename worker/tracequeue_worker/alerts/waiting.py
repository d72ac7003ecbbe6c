"""Frames that wait too long to be stored."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from tracequeue_worker.alerts.findings import Finding, State
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.alerts.wording import shown_span
from tracequeue_worker.backlog import Backlog

KEY: Final = "backlog"
SUBJECT: Final = "Traces are not being stored"
WORSE: Final = 10.0
"""Ten times the age is markedly worse."""


def find_waiting(backlogs: Sequence[Backlog], rules: AlertRules) -> Finding:
    """By the oldest frame of all partitions; well again at half the limit."""
    oldest = max((one.oldest_seconds or 0.0 for one in backlogs), default=0.0)
    limit = rules.backlog_age.total_seconds()
    state: State = "wrong" if oldest > limit else "well" if oldest <= limit / 2 else "undecided"
    return Finding(KEY, state, SUBJECT, _detail(backlogs, oldest), weight=oldest, worse_from=oldest * WORSE)


def _detail(backlogs: Sequence[Backlog], oldest: float) -> str:
    frames = sum(one.unread + one.pending for one in backlogs)
    if not frames:
        return "Nothing waits."
    said = f"Frames that wait: {frames}, the oldest for {shown_span(timedelta(seconds=oldest))}."
    if not any(one.consumers for one in backlogs):
        return f"{said}\nNo worker reads them: start one with <code>tracequeue worker</code>"
    return f"{said}\nSee /lag"
