"""The bell: who waits hears a ring from before, and rings do not add up."""

from threading import Thread

from tracequeue.bell import Bell

LONG = 60.0


def test_a_ring_from_before_is_heard_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert bell.wait(LONG)
    assert not bell.wait(0)


def test_who_waits_is_woken() -> None:
    bell = Bell()
    ringing = Thread(target=bell.ring)
    ringing.start()
    assert bell.wait(LONG)
    ringing.join()
