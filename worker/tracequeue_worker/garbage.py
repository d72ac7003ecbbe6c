"""Python's search for garbage, as it suits a worker: rows come and go by the thousands, and none of them needs it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG: Final = 50_000
"""How many more objects there may be than after the last look until there is another: two batches of the usual size are
below it, so that a worker that keeps up with what comes looks seldom or never."""


@contextmanager
def seldom_sought() -> Iterator[None]:
    """What exists already is not looked at, and what comes only where it piles up. With Python's own limit of 700 the
    looks took a fifth of a worker's processor time: each goes through all columns of all rows."""
    limits = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(YOUNG, *limits[1:])
    try:
        yield
    finally:
        gc.set_threshold(*limits)
        gc.unfreeze()
