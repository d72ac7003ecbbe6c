"""That something changed: what long polls and people wait for, instead of asking again and again."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

Outcome = TypeVar("Outcome")


class Changes:
    """One number that grows with every change of anything in the stand-in, and a way to wait for the next."""

    def __init__(self) -> None:
        self.revision = 0
        self.closed = False
        self._next = asyncio.Event()

    def announce(self) -> int:
        """Wake all who wait; the number of this change."""
        self.revision += 1
        self._next.set()
        self._next = asyncio.Event()
        return self.revision

    def close(self) -> None:
        """From now on nobody waits: what is not there will not come."""
        self.closed = True
        self.announce()

    async def until(self, condition: Callable[[], Outcome], timeout: float) -> Outcome:
        """The first true outcome of `condition`, or, after `timeout` seconds or at the end, the false one."""
        try:
            async with asyncio.timeout(timeout):
                while not (outcome := condition()) and not self.closed:
                    await self._next.wait()
        except TimeoutError:
            return condition()
        return outcome
