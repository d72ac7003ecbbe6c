"""What goes to Redis next, and what becomes of it: live frames first, then those on disk.

The degrade ladder stands here: what Redis refuses, does not answer for long, or is too slow for goes to disk; what
the disk does not take stays in the buffer, which counts what it drops.
"""

from collections.abc import Callable, Sequence
from math import inf
from time import monotonic, sleep

from tracequeue.lane import Lane
from tracequeue.outage import Outage
from tracequeue.outgoing import Outgoing
from tracequeue.spool import SYNC_SECONDS, Drain, Spooled
from tracequeue.wire import Trip, Wire

OUTBOX_FRAMES = 16
"""Frames made ahead of what Redis accepted, of all partitions; the rest waits in the buffer, which counts its bytes."""
HEARTBEAT_SECONDS = 10.0
PATIENCE_SECONDS = 1.0
"""How long frames wait for Redis's answer before they go to disk too; then Redis may get them twice."""
SHORT_PATIENCE_SECONDS = 0.05
"""The same while Redis refuses: so often new frames go to disk."""


class Delivery:
    """Used by one thread, except for `hurry`. `drain` is None where no spool is set, `told` hears of each answer."""

    def __init__(self, lanes: Sequence[Lane], wire: Wire, drain: Drain | None, told: Callable[[], None]) -> None:
        self.lanes = lanes
        self.outage = Outage("in the buffer" if drain is None else "on disk")
        self._wire = wire
        self._drain = drain
        self._told = told
        self._deadline = inf
        self._refused: set[str] = set()
        self._away = False
        self._trip: Trip | None = None
        self._last_sent = monotonic()

    def idle_seconds(self) -> float:
        """How long nothing is to be done, unless there are new events."""
        if self.outage.ongoing:
            seconds = self.outage.seconds()
        elif any(lane.outbox or lane.buffer.has_full for lane in self.lanes):
            seconds = 0.0
        else:
            seconds = min(HEARTBEAT_SECONDS, self._drain.seconds() if self._drain else inf)
        return min(seconds, SYNC_SECONDS) if any(lane.shelf and lane.shelf.unsynced for lane in self.lanes) else seconds

    def turn(self) -> None:
        """Take what is in the buffers, and do with it what can be done now."""
        self._fill()
        self._heartbeat()
        if not self.outage.seconds():
            self._send()
        for lane in self.lanes:
            if lane.shelf is not None:
                if self._away or lane.key in self._refused or lane.buffer.pressed:
                    lane.stow()
                lane.shelf.sync()

    def hurry(self, deadline: float) -> None:
        """From now on a round trip ends at the deadline. Called from any thread."""
        self._deadline = deadline
        if (trip := self._trip) is not None:
            trip.bell.ring()

    def finish(self) -> None:
        """Until the deadline of `hurry`, send what is left; then the last words, and to disk what Redis has not."""
        while self._left() and monotonic() < self._deadline:
            self._fill()
            self._send()
            if self.outage.ongoing:
                if self._stow():
                    break
                sleep(max(0.0, min(self.outage.seconds(), self._deadline - monotonic())))
        for lane in self.lanes:
            lane.buffer.close()
        self._fill()
        for lane in self.lanes:
            lane.mark()
        if not self.outage.ongoing:
            self._send()
        self._stow()
        for lane in self.lanes:
            if lane.shelf is not None:
                lane.shelf.sync(now=True)
        if self._drain is not None:
            self._drain.close()
        self._wire.close()

    def _fill(self) -> None:
        for lane in self.lanes:
            lane.fill(max(1, OUTBOX_FRAMES // len(self.lanes)), partial=True)

    def _heartbeat(self) -> None:
        """While traces are open and nothing else is sent, show that this emitter lives."""
        if monotonic() - self._last_sent >= HEARTBEAT_SECONDS and not self.outage.ongoing:
            for lane in self.lanes:
                if lane.buffer.open_traces and not lane.outbox:
                    lane.mark()

    def _stow(self) -> bool:
        """Put everything on disk. False where something stays in memory."""
        stowed = [lane.stow() for lane in self.lanes]
        return all(stowed)

    def _left(self) -> bool:
        return any(lane.in_memory() or (lane.shelf and lane.shelf.events) for lane in self.lanes)

    def _send(self) -> None:
        """One round trip with all frames that are due."""
        live = [(lane, frame) for lane in self.lanes for frame in self._due(lane)]
        probed = {lane.key for lane, _ in live if lane.key in self._refused}
        spooled: list[Spooled] = []
        if self._drain is not None:
            take = self._drain.due if self._deadline == inf else self._drain.last
            spooled = take(self._refused, probed)
        frames = [frame for _, frame in live] + [one.frame for one in spooled]
        if frames:
            replies = self._round_trip(frames)
            self._settle_live(live, replies)
            self._settle_spooled(spooled, replies[len(live) :])
            self._note(frames, replies)
            self._told()

    def _due(self, lane: Lane) -> list[Outgoing]:
        """Of a lane that was refused the last time one frame is tried, not all."""
        return list(lane.outbox)[: 1 if lane.key in self._refused else None]

    def _round_trip(self, frames: Sequence[Outgoing]) -> Sequence[object]:
        """A reply for each frame. What Redis is silent about for long goes to disk meanwhile."""
        self._trip = trip = self._wire.begin(frames, self._deadline)
        tick_at = monotonic() + (SHORT_PATIENCE_SECONDS if self._away else PATIENCE_SECONDS)
        while not trip.wait(max(0.0, min(tick_at, self._deadline) - monotonic())):
            if monotonic() < min(tick_at, self._deadline):
                continue
            stowed = self._stow()
            if self._deadline < inf and (stowed or monotonic() >= self._deadline):
                return [TimeoutError("no answer in time")] * len(frames)
            tick_at = monotonic() + (SHORT_PATIENCE_SECONDS if self._drain else PATIENCE_SECONDS)
        return trip.replies or ()

    def _settle_live(self, live: Sequence[tuple[Lane, Outgoing]], replies: Sequence[object]) -> None:
        for (lane, frame), reply in zip(live, replies, strict=False):
            if not isinstance(reply, Exception):
                lane.accepted(frame)

    def _settle_spooled(self, spooled: Sequence[Spooled], replies: Sequence[object]) -> None:
        """Up to the first that was refused: what comes behind it in the segment is sent again, which harms nothing."""
        halted = set()
        for one, reply in zip(spooled, replies, strict=True):
            if isinstance(reply, Exception):
                halted.add(one.segment)
            elif one.segment not in halted and self._drain is not None:
                self._drain.accepted(one)

    def _note(self, frames: Sequence[Outgoing], replies: Sequence[object]) -> None:
        errors = {
            frame.key: reply for frame, reply in zip(frames, replies, strict=True) if isinstance(reply, Exception)
        }
        self._refused = (self._refused - {frame.key for frame in frames}) | set(errors)
        refusals = sum(isinstance(reply, Exception) for reply in replies)
        self._away = refusals == len(frames)
        if not self._away:
            self._last_sent = monotonic()
        if errors:
            self.outage.failed(next(iter(errors.values())), partly=not self._away)
        else:
            self.outage.over()
