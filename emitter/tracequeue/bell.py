"""What wakes the publisher. Ringing is one step of the interpreter: a signal handler may ring while its thread rings.

`threading.Event` waits for ever there: for the lock that the interrupted `set` holds.
"""

from contextlib import suppress
from threading import Lock


class Bell:
    """One thread waits; any may ring. A ring that nobody waited for is heard by the next wait; two count as one."""

    def __init__(self) -> None:
        self._silence = Lock()
        self._silence.acquire()

    def ring(self) -> None:
        with suppress(RuntimeError):  # it rings already
            self._silence.release()

    def wait(self, seconds: float) -> bool:
        """Wait until it rings, for at most so long. Whether it rang."""
        return self._silence.acquire(timeout=seconds)
