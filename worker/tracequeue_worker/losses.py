"""Frames that others took out of a stream before they were stored: told at once, recorded when the store can."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from tracequeue_worker.report import WorkerReport

Reason = Literal["unread", "pending", "vanished", "went_back"]

MEANINGS: Final[dict[Reason, str]] = {
    "unread": "deleted or acknowledged by somebody before they were stored: look for MAXLEN, XTRIM, XDEL, XACK",
    "pending": "deleted by somebody while a worker had them: look for MAXLEN, XTRIM, XDEL",
    "vanished": "unread when the stream was last looked at, and it is gone: look for DEL, FLUSHALL, a restart",
    "went_back": "unread when Redis went back to an older state: look for a failover or a restart",
}
REMEMBERED_SECONDS: Final = 600.0
"""How long a worker that saw a loss says so: long enough for an alarm."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loss:
    """So many frames of one stream, detected at one time. `vanished` and `went_back` are what is known, not all."""

    detected_at: datetime
    stream: str
    reason: Reason
    frames: int


Record = Callable[[Sequence[Loss]], Awaitable[None]]


class Losses:
    """What one worker detected, counted in its report as `lost_entries`."""

    def __init__(self, report: WorkerReport | None = None) -> None:
        self._report = report or WorkerReport()
        self._unrecorded: dict[tuple[str, Reason], Loss] = {}
        self._latest: tuple[float, Loss] | None = None

    def add(self, stream: str, reason: Reason, frames: int) -> None:
        """Count a loss, and say so."""
        log.error("%d frames of %s are lost, %s", frames, stream, MEANINGS[reason])
        self._report.lost_entries += frames
        loss = Loss(datetime.now(UTC), stream, reason, frames)
        self._latest = (time.monotonic(), loss)
        self._keep(loss)

    @property
    def trouble(self) -> str | None:
        """What to say of a loss that is not long ago."""
        if self._latest is None or time.monotonic() - self._latest[0] > REMEMBERED_SECONDS:
            return None
        loss = self._latest[1]
        latest = f"{loss.frames} of {loss.stream} {MEANINGS[loss.reason]}"
        return f"{self._report.lost_entries} frames are lost, the last {latest}"

    async def record(self, write: Record) -> None:
        """Hand over what is not recorded yet. It is kept if `write` fails."""
        if not self._unrecorded:
            return
        losses, self._unrecorded = list(self._unrecorded.values()), {}
        try:
            await write(losses)
        except BaseException:
            for loss in losses:
                self._keep(loss)
            raise

    def _keep(self, loss: Loss) -> None:
        """Losses that wait for a store that is away are added up: they do not grow without bound."""
        before = self._unrecorded.get((loss.stream, loss.reason))
        self._unrecorded[loss.stream, loss.reason] = (
            replace(before, frames=before.frames + loss.frames) if before else loss
        )
