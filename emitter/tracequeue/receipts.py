"""Receipts: the worker marks each settled frame in a bitmap, and here a waiting emitter reads it."""

from collections.abc import Callable
from time import monotonic, sleep

FIRST_POLL_SECONDS = 0.005
LONGEST_POLL_SECONDS = 0.2


class Receipts:
    """How far one emitter's frames in a partition are settled without a gap. `read` gives the bitmap from a byte on."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._settled = 0

    def covers(self, seq: int) -> bool:
        """Whether all frames up to `seq` are settled. Bit `n` of the bitmap is frame `n`; bit 0 is never set."""
        if self._settled < seq:
            first_byte = (self._settled + 1) // 8
            bits = self._read(first_byte)
            while self._is_set(bits, self._settled + 1 - first_byte * 8):
                self._settled += 1
        return self._settled >= seq

    @staticmethod
    def _is_set(bits: bytes, position: int) -> bool:
        byte, bit = divmod(position, 8)
        return byte < len(bits) and bool(bits[byte] & (0x80 >> bit))


def wait_until(done: Callable[[], bool], deadline: float) -> bool:
    """Ask again and again, less and less often, until it is so or the monotonic deadline has passed."""
    delay = FIRST_POLL_SECONDS
    while not done():
        if monotonic() >= deadline:
            return False
        sleep(min(delay, max(0.0, deadline - monotonic())))
        delay = min(delay * 2, LONGEST_POLL_SECONDS)
    return True
