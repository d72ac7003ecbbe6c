"""The report of a replay, as `--json` prints it."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import computed_field

from tracequeue_worker.read_models import Row


class DayComparison(Row):
    """Of one UTC day and one kind of event: what the source holds, beside what the target has under the same keys.

    Digests are sums of the hashes of rows, so order does not matter; both sides are hashed by the target's server.
    `different` rows are there with other content: the first that was stored stays.
    """

    day: date
    kind: Literal["spans", "starts", "ends"]
    source_rows: int
    source_digest: str
    target_rows: int
    target_digest: str
    different: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def missing(self) -> int:
        return self.source_rows - self.target_rows

    @property
    def equal(self) -> bool:
        return self.missing == 0 and self.source_digest == self.target_digest


class Gap(Row):
    """Frames of an emitter that neither the source nor the target has. `cause`: `trimmed` (before everything that the
    source has of this emitter) or `missing` (in between)."""

    emitter_id: UUID
    partition: int
    first: int
    last: int
    cause: Literal["trimmed", "missing"]


class ReplayReport(Row):
    """What a replay read, what became of it, and what is missing.

    All figures are of the whole replay, from its first start on. `written` and `present` count events whose row is new,
    or was there already; `dead` those that are refused, by reason.
    """

    replay_id: UUID | None
    """None of a dry run."""
    source: str
    selection: str
    target: str
    started_at: datetime
    resumed: bool
    finished: bool
    seconds: float
    """Of this run."""
    frames: int
    events: int
    written: int
    present: int
    dead: dict[str, int]
    left_out: int
    """Events of this run that the selection does not want."""
    days: list[DayComparison]
    gaps: list[Gap]
    shortfalls: list[str]
    """Sentences on what the source is known not to hold."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def complete(self) -> bool:
        """Whether all that the source should hold is in the target. What no store could ever take is not asked for."""
        refused_here = any(reason.startswith("store:") for reason in self.dead)
        whole = all(day.equal for day in self.days)
        return self.finished and whole and not (self.gaps or self.shortfalls or refused_here)
