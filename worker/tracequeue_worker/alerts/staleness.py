"""Pipelines that ran regularly, and of which nothing has ended for too long.

What counts is what ended: a pipeline whose traces start and never end is stale too.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from tracequeue_worker.alerts.findings import Finding, State
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.alerts.wording import shown_name, shown_span
from tracequeue_worker.database import acquired
from tracequeue_worker.sql import statement

PREFIX: Final = "stale:"
LOOKED_BACK: Final = timedelta(days=30)
"""Of what last ended before that, nothing is said any more, and nothing is taken back."""


async def find_stale(pool: asyncpg.Pool, rules: AlertRules, now: datetime) -> list[Finding]:
    """A finding per pipeline that the rules name; raises what asyncpg raises."""
    if not rules.stale:
        return []
    names = list(rules.stale)
    async with acquired(pool) as connection:
        rows = await connection.fetch(
            statement("alert_stale"), names, now - LOOKED_BACK, timedelta(days=1), rules.stale_regular
        )
    found = {row["pipeline_name"]: row for row in rows}
    return [_finding(name, limit, found.get(name), rules, now) for name, limit in rules.stale.items()]


def _finding(name: str, limit: timedelta, row: Any, rules: AlertRules, now: datetime) -> Finding:
    subject = f"{shown_name(name)} is stale"
    if row is None:
        return Finding(f"{PREFIX}{name}", "undecided", subject, "")
    silent = now - row["last_end"]
    state: State = "well"
    if silent > limit:
        state = "wrong" if row["regular"] >= rules.stale_regular else "undecided"
    return Finding(f"{PREFIX}{name}", state, subject, _detail(state, silent, limit, row["open"]))


def _detail(state: State, silent: timedelta, limit: timedelta, still_open: int) -> str:
    if state == "well":
        return f"Something ended {shown_span(silent)} ago."
    said = f"Nothing of it has ended for {shown_span(silent)}; it may be silent for {shown_span(limit)}."
    return f"{said}\nStarted since, and not ended: {still_open}" if still_open else said
