"""What the ledger of another database says, on its way into this one: so its accounts close here too."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """Rows by column name, as they stand in the tables. It comes behind the rows that it speaks of, never before."""

    frames: list[dict[str, Any]] = field(default_factory=list)
    """Of `pipeline_frames`."""
    settled: list[dict[str, Any]] = field(default_factory=list)
    """Of `pipeline_settled`."""
    emitters: list[dict[str, Any]] = field(default_factory=list)
    """Of `pipeline_emitters`."""
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    """Of `pipeline_conflicts`."""
