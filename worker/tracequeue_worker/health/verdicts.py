"""Is this worker alive, and is it well? Alive means progress: fails only when there is work and nothing moves."""

import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Final

from tracequeue_worker.backoff import Patience
from tracequeue_worker.errors import Fatal
from tracequeue_worker.health.watch import Watch
from tracequeue_worker.pipeline import Pipeline

UNANSWERED_SECONDS: Final = 10.0
"""A server that has not answered for so long is in trouble, though nothing has failed yet."""
BLIND_SECONDS: Final = 30.0
"""So old may the last look at the streams be."""
NAMED_PRODUCERS: Final = 10
ANSWERED: Final = ("write", "settle", "archive_write", "archive_settle")
"""What waits for a server and for nothing else. Reading also waits for room in the next batch."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What is wrong. `held` needs a person, `degraded` is tried again by itself; `since` where it is known."""

    state: str
    what: str
    why: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Well, or why not."""

    reasons: list[Reason] = field(default_factory=list)

    @property
    def well(self) -> bool:
        return not self.reasons

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {"well": self.well, "reasons": [asdict(reason) for reason in self.reasons]}


class Health:
    """The verdicts on one worker, at the moment they are asked for."""

    def __init__(self, pipeline: Pipeline, watch: Watch, *, stall_seconds: float) -> None:
        self._pipeline = pipeline
        self._watch = watch
        self._stall_seconds = stall_seconds

    def liveness(self) -> Verdict:
        """Not alive: there was work for `stall_seconds`, and nothing was read, stored or settled."""
        silent = time.monotonic() - max(self._pipeline.vitals.moved_at, self._watch.idle_at)
        if not self._watch.busy or silent < self._stall_seconds:
            return Verdict()
        why = f"frames wait, and nothing was read, stored or settled for {silent:.0f} seconds"
        return Verdict([Reason("stalled", "working", why, _ago(silent)), *self._troubles()])

    def readiness(self) -> Verdict:
        """Not ready: something keeps frames from being stored, or they are in danger, or were lost."""
        reasons = [*self._troubles(), *self._sights(), *self._holds()]
        if self._pipeline.stopping:
            reasons.append(Reason("stopping", "working", "asked to stop; what was read is finished"))
        return Verdict(reasons)

    def _troubles(self) -> list[Reason]:
        return [
            reason
            for name, patience in self._pipeline.patience.items()
            if (reason := _trouble(patience, may_be_silent=name not in ANSWERED))
        ]

    def _sights(self) -> list[Reason]:
        sight, trouble = self._watch.sight, self._watch.trouble
        reasons: list[Reason] = []
        if trouble is not None:
            reasons.append(Reason(_state(trouble), "looking at the streams", str(trouble)))
        elif sight is None or time.monotonic() - sight.at > BLIND_SECONDS:
            reasons.append(Reason("degraded", "looking at the streams", "no look has succeeded of late"))
        if self._pipeline.losses.trouble is not None:
            reasons.append(Reason("lost", "keeping frames in Redis", self._pipeline.losses.trouble))
        return reasons

    def _holds(self) -> list[Reason]:
        """Producers whose records the store refuses; of very many the first."""
        held = self._pipeline.held
        reasons = [
            Reason(
                "held",
                f"records of {one.service or 'producer'} {one.producer}",
                f"{one.frames} frames wait: {one.reason}",
                one.since,
            )
            for one in held[:NAMED_PRODUCERS]
        ]
        if len(held) > NAMED_PRODUCERS:
            reasons.append(Reason("held", "records of other producers", f"{len(held) - NAMED_PRODUCERS} more are held"))
        return reasons


def _trouble(patience: Patience, *, may_be_silent: bool) -> Reason | None:
    if patience.trouble is not None:
        since = datetime.fromtimestamp(patience.since, UTC)
        return Reason(_state(patience.trouble), patience.what, str(patience.trouble), since)
    silent = patience.unanswered_seconds
    if may_be_silent or silent < UNANSWERED_SECONDS:
        return None
    why = f"not done after {silent:.0f} seconds: the server is slow, or does not answer"
    return Reason("degraded", patience.what, why, _ago(silent))


def _state(error: Exception) -> str:
    return "held" if isinstance(error, Fatal) else "degraded"


def _ago(seconds: float) -> datetime:
    return datetime.fromtimestamp(time.time() - seconds, UTC)
