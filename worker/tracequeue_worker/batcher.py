"""Frames -> batches, closed by rows, bytes, days or age. It holds one at most: whoever adds to a full one waits."""

import asyncio
from collections import deque

from tracequeue.linger import Linger
from tracequeue_worker.records import MOST_DAYS, DecodedFrame


class Batcher:
    """One task adds frames, another takes batches: while one batch is written, the next is filled.

    A frame that is larger than a whole batch makes a batch of its own.
    """

    def __init__(self, *, rows: int, size: int, linger_ms: int) -> None:
        self._most_rows = rows
        self._most_bytes = size
        self._linger = Linger(linger_ms / 1000)
        self._frames: deque[DecodedFrame] = deque()
        self._rows = 0
        self._size = 0
        self._days: set[int] = set()
        self._opened_at = 0.0
        self._closed = False
        self._turned_away = False
        self._change = asyncio.Condition()

    async def add(self, frame: DecodedFrame) -> None:
        """Add a frame, once there is room for it."""
        async with self._change:
            await self._change.wait_for(lambda: self._fits(frame))
            if not self._frames:
                self._opened_at = asyncio.get_running_loop().time()
            self._frames.append(frame)
            self._rows += _rows(frame)
            self._size += frame.size
            self._days |= frame.days
            self._change.notify_all()

    async def close(self) -> None:
        """No more frames will come: what is there is taken without lingering."""
        async with self._change:
            self._closed = True
            self._change.notify_all()

    async def take(self) -> list[DecodedFrame]:
        """The next batch: when it is full, or its first frame has waited long enough. Empty when closed and done."""
        async with self._change:
            await self._change.wait_for(lambda: self._frames or self._closed)
            await self._wait_for_company()
            self._linger.sent(asyncio.get_running_loop().time())
            batch = list(self._frames)
            self._frames.clear()
            self._rows = self._size = 0
            self._days.clear()
            self._turned_away = False
            self._change.notify_all()
            return batch

    async def _wait_for_company(self) -> None:
        try:
            async with asyncio.timeout_at(self._linger.due(self._opened_at)):
                await self._change.wait_for(lambda: self._full or self._closed)
        except TimeoutError:
            return

    @property
    def _full(self) -> bool:
        return self._turned_away or self._rows >= self._most_rows or self._size >= self._most_bytes

    def _fits(self, frame: DecodedFrame) -> bool:
        room = (
            self._rows + _rows(frame) <= self._most_rows
            and self._size + frame.size <= self._most_bytes
            and len(self._days | frame.days) <= MOST_DAYS
        )
        self._turned_away = bool(self._frames) and not room
        if self._turned_away:
            self._change.notify_all()
        return not self._turned_away


def _rows(frame: DecodedFrame) -> int:
    """What is refused is work too, and so is a frame of nothing: it has a row in the ledger."""
    return max(frame.rows + len(frame.rejections), 1)
