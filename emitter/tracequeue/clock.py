"""Where time comes from: the wall for what is stored, a monotonic clock for every difference."""

from collections.abc import Callable
from time import perf_counter_ns, time_ns
from typing import NamedTuple


class Clock(NamedTuple):
    """Both in nanoseconds; `wall` since the Unix epoch, `monotonic` since any moment."""

    wall: Callable[[], int] = time_ns
    monotonic: Callable[[], int] = perf_counter_ns
