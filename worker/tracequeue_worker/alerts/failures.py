"""Pipelines that fail more often than they may."""

from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from tracequeue_worker.alerts.findings import Finding, State
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.alerts.wording import shown_error, shown_name, shown_span
from tracequeue_worker.database import acquired
from tracequeue_worker.error_patterns import VARYING_IN_SQL
from tracequeue_worker.sql import statement

PREFIX: Final = "failures:"
LONGEST_RUN: Final = timedelta(hours=1)
"""A trace that ran longer is not counted: its day would have to be read whole."""
WORSE: Final = 2.0
"""Twice the share is markedly worse."""


async def find_failures(pool: asyncpg.Pool, rules: AlertRules, now: datetime) -> list[Finding]:
    """A finding per pipeline of which something ended within the window; raises what asyncpg raises."""
    since = now - rules.failure_window
    async with acquired(pool) as connection:
        rows = await connection.fetch(statement("alert_failures"), since - LONGEST_RUN, since, now, VARYING_IN_SQL)
    return [_finding(row, rules) for row in rows]


def _finding(row: Any, rules: AlertRules) -> Finding:
    share = row["failed"] / row["ended"]
    return Finding(
        f"{PREFIX}{row['pipeline_name']}",
        _state(share, row["ended"], rules),
        f"{shown_name(row['pipeline_name'])} fails",
        _detail(row, share, rules),
        weight=share,
        worse_from=share * WORSE,
    )


def _state(share: float, ended: int, rules: AlertRules) -> State:
    """Few traces prove nothing, unless none of them failed."""
    if share == 0:
        return "well"
    if ended < rules.failure_ended:
        return "undecided"
    if share > rules.failure_share:
        return "wrong"
    return "well" if share <= rules.failure_share / 2 else "undecided"


def _detail(row: Any, share: float, rules: AlertRules) -> str:
    window = shown_span(rules.failure_window)
    said = f"{_percent(share)} failed: {row['failed']} of {row['ended']} that ended in the last {window}."
    if not row["failed"]:
        return said
    error = f"\nMostly: <code>{shown_error(row['error'])}</code>" if row["error"] else ""
    return f"{said}{error}\nSee /failed"


def _percent(share: float) -> str:
    """Rounded, but never to none or all where that is not so."""
    percent = round(share * 100)
    return f"{percent if share in (0, 1) else min(99, max(1, percent))} %"
