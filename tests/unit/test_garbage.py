"""Garbage is sought seldom while a worker runs, and as before once it has ended."""

import gc

from tracequeue_worker.garbage import seldom_sought


def test_only_what_piles_up_is_looked_at() -> None:
    before = gc.get_threshold()
    with seldom_sought():
        assert gc.get_threshold()[0] > 32_000, "two batches, each with its rows as they are and as they are staged"
        assert gc.get_freeze_count() > 10_000, "the modules are looked at"
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_cycles_that_pile_up_are_found() -> None:
    with seldom_sought():
        seen = 0
        for _ in range(200_000):
            cycle: list[object] = []
            cycle.append(cycle)
            seen = max(seen, gc.get_count()[0])
        assert seen < 100_000
