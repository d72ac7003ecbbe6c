"""What a run of retention did, or would do, as `--json` prints it."""

from datetime import date
from typing import Literal

from pydantic import computed_field

from tracequeue_worker.read_models import Row

State = Literal["attached", "detaching", "detached"]


class Partition(Row):
    """One day of one table. `rows` is an estimate, `bytes` are measured, with indexes."""

    name: str
    parent: str
    day: date
    state: State
    """`detaching` and `detached` were left by a run that was interrupted."""
    rows: int
    bytes: int


class Left(Row):
    """A partition that could not be dropped now, and why."""

    name: str
    why: str


class RetentionReport(Row):
    """Of the days before `before`: `frames` were pruned from the ledger, `replays` forgotten. With `dry_run`: would be.

    `busy`: another run was at work, so this one did nothing.
    """

    dry_run: bool
    before: date
    dropped: list[Partition]
    left: list[Left]
    frames: int
    replays: int
    busy: bool = False

    @computed_field  # type: ignore[prop-decorator]
    @property
    def bytes(self) -> int:
        """Of disk, that the dropped partitions gave back."""
        return sum(partition.bytes for partition in self.dropped)
