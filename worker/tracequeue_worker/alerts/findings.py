"""What a look finds: of each thing that can be wrong, whether it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["wrong", "undecided", "well"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing. `subject` and `detail` are HTML as Telegram takes it; `key` is always the same for the same thing.

    `undecided` begins no alert and ends none. What is wrong is markedly worse than it was when its `weight` has reached
    what `worse_from` was then (None: never), or when there are `kinds` that were not there.
    """

    key: str
    state: State
    subject: str
    detail: str
    weight: float = 0.0
    worse_from: float | None = None
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sight:
    """All findings of a look. A key that is in none of them is well, unless it begins with one of `blind`."""

    findings: Sequence[Finding] = ()
    blind: tuple[str, ...] = ()

    def of(self, key: str) -> Finding:
        """What was found of one thing."""
        for finding in self.findings:
            if finding.key == key:
                return finding
        return Finding(key, "undecided" if key.startswith(self.blind) else "well", "", "")
