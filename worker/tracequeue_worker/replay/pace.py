"""Not faster than so many events a second."""

import asyncio
import time
from contextlib import suppress


class Pace:
    """`rate` is in events a second; without one nothing is held up. What was missed is not made up for."""

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._free_at = 0.0

    async def wait(self, events: int, until: asyncio.Event) -> None:
        """Wait until so many events may pass, or until the event is set."""
        if self._rate is None:
            return
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + events / self._rate
        with suppress(TimeoutError):
            async with asyncio.timeout(self._free_at - now):
                await until.wait()
