"""New dead letters: those behind the last one that an admin chat knows of, counted by reason."""

from collections import Counter
from datetime import datetime
from typing import Final

from pydantic import BaseModel, Field

from tracequeue_worker.alerts.findings import Finding, State
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.alerts.wording import shown_error, shown_name, shown_span
from tracequeue_worker.dead_letters.reader import DeadLetters

KEY: Final = "dead letters"
SUBJECT: Final = "New dead letters"
WORSE: Final = 10.0
"""Ten times as many are markedly worse; so are some of a reason that there was not before."""
MOST_A_LOOK: Final = 1000
"""The next look goes on behind them."""
LISTED: Final = 5
REMEMBERED: Final = 500
"""Characters of an error, of which fewer are shown."""


class LettersSeen(BaseModel):
    """How far the dead letters are known (partition -> entry id), and what is new of this matter."""

    last: dict[int, str] = Field(default_factory=dict)
    counts: Counter[str] = Field(default_factory=Counter)
    """By reason."""
    errors: dict[str, str] = Field(default_factory=dict)
    """An example of each reason."""
    newest: datetime | None = None
    """When a look last found some."""

    def forget_matter(self) -> None:
        """The next letters are a matter of their own."""
        self.counts, self.errors, self.newest = Counter(), {}, None


async def read_new(letters: DeadLetters, seen: LettersSeen, now: datetime) -> None:
    """Add what came behind what is known; on the first look that is all there is. Raises `Transient` or `Fatal`."""
    left = MOST_A_LOOK
    for partition in letters.partitions:
        last = await letters.last(partition)
        async for letter in letters.between(partition, seen.last.get(partition), last):
            if not left:
                return
            left -= 1
            seen.last[partition] = letter.entry_id
            seen.counts[letter.reason] += 1
            seen.errors[letter.reason] = letter.error[:REMEMBERED]
            seen.newest = now


def find_dead_letters(seen: LettersSeen, rules: AlertRules, now: datetime) -> Finding:
    """Wrong where this look found some, well when none have come for long."""
    state: State = "well"
    if seen.newest is not None and now - seen.newest < rules.dead_letters_quiet:
        state = "wrong" if seen.newest == now else "undecided"
    total = seen.counts.total()
    detail = _detail(seen, rules, state)
    return Finding(KEY, state, SUBJECT, detail, weight=total, worse_from=total * WORSE, kinds=frozenset(seen.counts))


def _detail(seen: LettersSeen, rules: AlertRules, state: State) -> str:
    total = seen.counts.total()
    if state == "well":
        quiet = shown_span(rules.dead_letters_quiet)
        return (
            f"None for {quiet}, {total} in all. They lie there until <code>tracequeue dlq</code> retries or drops them."
        )
    lines = [
        f"{shown_name(reason)}: {count}, such as <code>{shown_error(seen.errors.get(reason, ''))}</code>"
        for reason, count in seen.counts.most_common(LISTED)
    ]
    if len(seen.counts) > LISTED:
        lines.append(f"and {len(seen.counts) - LISTED} more reasons")
    return "\n".join([*lines, "See /dlq"])
