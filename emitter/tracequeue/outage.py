"""While Redis refuses: when it is asked again, and what is said about it, once."""

import logging
import random
from time import monotonic

from tracequeue.tls import tls_cure

logger = logging.getLogger("tracequeue")

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 5.0


class Outage:
    """Counts failures in a row. Pauses grow up to a cap, with jitter so that many bots do not come back at once."""

    def __init__(self, instead: str) -> None:
        self._instead = instead
        self._failures = 0
        self._retry_at = 0.0

    @property
    def ongoing(self) -> bool:
        return self._failures > 0

    def seconds(self) -> float:
        """How long Redis is left alone."""
        return max(0.0, self._retry_at - monotonic()) if self._failures else 0.0

    def over(self) -> None:
        if self._failures:
            logger.warning("tracequeue: Redis accepts events again")
        self._failures = 0

    def failed(self, error: BaseException, *, partly: bool = False) -> None:
        """Pauses grow only while nothing at all is accepted: one sick partition must not hold up the others."""
        if not self._failures:
            logger.warning(
                "tracequeue: Redis takes no events (%s: %s); they wait %s; %s",
                type(error).__name__,
                error,
                self._instead,
                tls_cure(error, "ssl_ca_certs") or "check Redis and TRACEQUEUE_REDIS_URL",
            )
        self._failures = 1 if partly else self._failures + 1
        longest = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(self._failures, 10))
        self._retry_at = monotonic() + random.uniform(longest / 2, longest)  # noqa: S311
