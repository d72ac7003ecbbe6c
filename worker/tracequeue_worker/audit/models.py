"""What an audit found of one emitter, and what that means in words."""

from collections.abc import Iterator, Sequence

from pydantic import Field, computed_field

from tracequeue_worker.read_models import EmitterFigures, Row


class MissingFrames(Row):
    """A range of frame numbers of one emitter, both ends included."""

    partition: int
    first: int
    last: int


class AuditedEmitter(EmitterFigures):
    """emitted = persisted + dead + dropped + spooled + in flight, and what of it is `unaccounted` for.

    `emitter_id` is None for all frames that came without an emitter: they announce nothing, so their account closes.
    """

    spool_read: bool = Field(description="Whether a spool folder was looked at.")
    spooled: int = Field(description="Events on disk, in the folder that was looked at.")
    in_streams: int = Field(description="Events that are unread or pending.")
    with_the_bot: int = Field(description="Events that a living emitter announced and has not sent yet.")
    unaccounted: int = Field(description="Events that are nowhere; below zero if more came than were announced.")
    missing: list[MissingFrames] = Field(description="Frames below the highest known number that are nowhere.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def in_flight(self) -> int:
        """Events on their way."""
        return self.in_streams + self.with_the_bot

    @computed_field  # type: ignore[prop-decorator]
    @property
    def closes(self) -> bool:
        return not (self.missing or self.unaccounted or self.conflicts)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def why(self) -> list[str]:
        """Why it does not close, a sentence for each reason."""
        return list(self._reasons())

    def _reasons(self) -> Iterator[str]:
        if self.missing:
            frames = sum(one.last - one.first + 1 for one in self.missing)
            yield (
                f"frames missing: {frames} ({shown_ranges(self.missing)}), with at most {max(0, self.unaccounted)} "
                f"events: taken out of the stream before they were stored (MAXLEN, XTRIM, XDEL, DEL, FLUSHALL, an "
                f"eviction, a restart, a failover){self._spool}"
            )
        elif self.unaccounted > 0:
            yield (
                f"events that went down with the process: {self.unaccounted}: it handed them over, and neither Redis "
                f"nor a disk got them{self._spool}"
            )
        if self.unaccounted < 0:
            yield (
                f"events beyond those that were announced: {-self.unaccounted}: the frames carry no account (`acct`), "
                "or two emitters use this id"
            )
        if self.conflicts:
            yield (
                f"frames with the number of another frame: {self.conflicts}: they are dead letters (seq_conflict); two "
                "emitters use this id, or one counts wrongly"
            )

    @property
    def _spool(self) -> str:
        """Where else they may be."""
        if not self.ever_spooled or self.spool_read:
            return ""
        return f"; or they are still in a spool of {self.host or 'its host'}: look there with --spool DIR"


def shown_ranges(missing: Sequence[MissingFrames], most: int = 20) -> str:
    """`partition 0: 5-9, 12`, by partition; no more than so many ranges."""
    shown: dict[int, list[str]] = {}
    for one in missing[:most]:
        shown.setdefault(one.partition, []).append(
            str(one.first) if one.first == one.last else f"{one.first}-{one.last}"
        )
    parts = [f"partition {partition}: {', '.join(numbers)}" for partition, numbers in shown.items()]
    return "; ".join(parts) + (f"; and {len(missing) - most} more ranges" if len(missing) > most else "")
