"""Trying again: for ever, with capped and jittered pauses, and a word in the log only when the state changes."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from tracequeue_worker.cancellation import leave_if_cancelled
from tracequeue_worker.errors import Fatal, Transient

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 10.0
PROBE_SECONDS = 10.0
"""How often a fatal failure is looked at again: a person cures it, so not often."""

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class Backoff:
    """Pauses that double up to a cap, each jittered by half, so that a hundred workers do not return at once."""

    def __init__(self, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def pause(self) -> float:
        """The next pause in seconds."""
        seconds = self._next * random.uniform(0.5, 1)  # noqa: S311  # spreads load, guards nothing
        self._next = min(self._next * 2, self._longest)
        return seconds

    def reset(self) -> None:
        self._next = self._first


class Patience:
    """Tries an operation until it works. `trouble` tells what is wrong meanwhile, `since` from which second on.

    With `fatal_ends` a `Fatal` is raised to the caller instead of being held: right for work that has an end.
    Once `until` is set, the next failure of any kind is raised instead of waited for; and so is one that comes when
    nothing has worked for `longest` seconds.
    """

    def __init__(
        self,
        what: str,
        *,
        fatal_ends: bool = False,
        until: asyncio.Event | None = None,
        longest: float = math.inf,
    ) -> None:
        self.what = what
        self.trouble: Transient | Fatal | None = None
        self.since = 0.0
        self.failures = 0
        self._asked_at: float | None = None
        self._fatal_ends = fatal_ends
        self._until = until or asyncio.Event()
        self._longest = longest
        self._backoff = Backoff()

    async def until_done(self, operation: Callable[[], Awaitable[Result]]) -> Result:
        """Await the operation anew until it raises neither `Transient` nor `Fatal`; other errors go through."""
        while True:
            self._asked_at = time.monotonic()
            try:
                result = await operation()
            except (Transient, Fatal) as error:
                leave_if_cancelled()
                self.failed(error)
                if self._ends(error):
                    raise
                await self._pause(error)
            else:
                self.recovered()
                return result

    @property
    def unanswered_seconds(self) -> float:
        """How long the attempt at hand has been waiting for its outcome."""
        return 0.0 if self._asked_at is None else time.monotonic() - self._asked_at

    def failed(self, error: Transient | Fatal) -> None:
        """Note a failure; only the first of its class is logged."""
        self._asked_at = None
        self.failures += 1
        if self.trouble is None:
            self.since = time.time()
        if type(error) is not type(self.trouble):
            if isinstance(error, Fatal):
                log.error("held: %s: %s", self.what, error)
            else:
                log.warning("degraded: %s, trying again: %s", self.what, error)
        self.trouble = error

    def recovered(self) -> None:
        """Note that it works, again or still."""
        if self.trouble is not None:
            log.info("recovered: %s", self.what)
        self.trouble = self._asked_at = None
        self._backoff.reset()

    def _ends(self, error: Transient | Fatal) -> bool:
        ended = self._until.is_set() or time.time() - self.since > self._longest
        return ended or (self._fatal_ends and isinstance(error, Fatal))

    async def _pause(self, error: Transient | Fatal) -> None:
        seconds = PROBE_SECONDS * random.uniform(0.5, 1) if isinstance(error, Fatal) else self._backoff.pause()  # noqa: S311
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until.wait()
