"""How long whoever sends waits for company, by a clock of its own."""

import random

import pytest

from tracequeue.linger import CREDIT, SHORTEST_SECONDS, Linger

LONGEST = 0.0625


def spent() -> Linger:
    """All credit gone, at the moment 0."""
    made = Linger(LONGEST)
    for _ in range(CREDIT):
        made.sent(0.0)
    return made


def test_a_few_sendings_after_a_pause_wait_for_a_moment_only() -> None:
    made = Linger(LONGEST)
    for number in range(CREDIT):
        came_at = number * SHORTEST_SECONDS
        assert made.due(came_at) == came_at + SHORTEST_SECONDS
        made.sent(came_at + SHORTEST_SECONDS)
    assert made.due(CREDIT * SHORTEST_SECONDS) == pytest.approx(LONGEST + SHORTEST_SECONDS)


def test_who_always_has_something_to_send_sends_as_often_as_if_each_waited_for_the_longest() -> None:
    made, now, sendings = spent(), 0.0, 0
    while now < 100 * LONGEST:
        now = made.due(now)
        made.sent(now)
        sendings += 1
    assert sendings == 100


def test_nothing_waits_longer_than_the_longest() -> None:
    chance, made, sent_at = random.Random(1), Linger(LONGEST), 0.0
    for _ in range(10_000):
        came_at = sent_at + chance.expovariate(1 / LONGEST)
        early = chance.random() < 0.5
        sent_at = came_at if early else made.due(came_at)
        assert came_at <= sent_at <= came_at + LONGEST + 1e-9
        made.sent(sent_at)


def test_sendings_before_they_were_due_leave_no_debt() -> None:
    made = spent()
    for _ in range(1_000):
        made.sent(0.0)
    assert made.due(0.0) == pytest.approx(LONGEST)
    assert made.due(LONGEST) == pytest.approx(LONGEST + SHORTEST_SECONDS)


def test_credit_comes_back_with_time_and_no_more_than_there_was() -> None:
    made = spent()
    pause = 1_000.0
    for _ in range(CREDIT):
        assert made.due(pause) == pause + SHORTEST_SECONDS
        made.sent(pause)
    assert made.due(pause) == pytest.approx(pause + LONGEST)


@pytest.mark.parametrize("longest", [0.0, SHORTEST_SECONDS / 5])
def test_a_longest_wait_below_the_moment_is_the_wait(longest: float) -> None:
    assert Linger(longest).due(7.0) == 7.0 + longest
