"""How far a replay is, for whoever watches."""

from dataclasses import dataclass, field

from tracequeue_worker.replay.checkpoint import Figures
from tracequeue_worker.replay.source import Part


@dataclass(slots=True)
class Progress:
    """`total` and `done` are in the unit of the source's parts, and of the whole replay; the rest is of this run."""

    total: int | None = None
    frames: int = 0
    events: int = 0
    left_out: int = 0
    part: str = ""
    """Which is read now."""
    _done: dict[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return sum(self._done.values())

    def begin(self, parts: list[Part]) -> None:
        sizes = [part.size for part in parts if part.size is not None]
        self.total = sum(sizes) if len(sizes) == len(parts) else None

    def place(self, part: str, done: int) -> None:
        """So much of a part is stored, by whomever."""
        self.part = part
        self._done[part] = done

    def add(self, found: Figures) -> None:
        """What a batch of the part brought."""
        self._done[self.part] = self._done.get(self.part, 0) + found.done
        self.frames += found.frames
        self.events += found.events
