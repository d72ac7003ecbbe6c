"""When a draining worker is done."""

import time
from collections.abc import Callable

from tracequeue_worker.lease import InFlight
from tracequeue_worker.reclaimer import Reclaimer

PATIENCE = 2
"""In claim times: by then every entry of a dead worker was idle long enough, and a round has taken it over."""


class Drain:
    """Done when nothing is new, nothing is in flight here but what is `held`, and nothing is pending for anyone.

    Entries pending for others are waited for: their worker settles them, or it is dead and we take them over. What is
    still pending after `PATIENCE` claim times without news is kept fresh by a worker that lives, and is left to it.
    """

    def __init__(
        self, reclaimer: Reclaimer, in_flight: InFlight, *, min_idle_ms: int, held: Callable[[], int] = lambda: 0
    ) -> None:
        self._reclaimer = reclaimer
        self._in_flight = in_flight
        self._held = held
        self._wait = PATIENCE * min_idle_ms / 1000
        self._quiet_since: float | None = None

    def news(self) -> None:
        """Something was read."""
        self._quiet_since = None

    async def nothing_left(self) -> bool:
        """Asked when a read found nothing. Raises `Transient` or `Fatal`."""
        held = self._held()
        if len(self._in_flight) > held:
            return False
        now = time.monotonic()
        self._quiet_since = self._quiet_since or now
        ours, others = await self._reclaimer.pending()
        if ours > held:
            return False
        return not others or now - self._quiet_since > self._wait
