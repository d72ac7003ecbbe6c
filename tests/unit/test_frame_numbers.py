"""Sets of frame numbers as ranges, against plain sets."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tracequeue_worker.audit.frame_numbers import FrameNumbers, in_both

NUMBERS = st.lists(st.integers(1, 40))


def of(numbers: list[int]) -> FrameNumbers:
    made = FrameNumbers()
    for number in numbers:
        made.add(number)
    return made


@given(NUMBERS)
def test_ranges_hold_what_was_added_and_are_apart(numbers):
    ranges = list(of(numbers))
    assert {number for first, last in ranges for number in range(first, last + 1)} == set(numbers)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))
    assert all((number in of(numbers)) == (number in numbers) for number in range(42))


@given(NUMBERS, NUMBERS)
def test_what_is_in_both(some, others):
    both = in_both(of(some), of(others))
    assert {number for first, last in both for number in range(first, last + 1)} == set(some) & set(others)


def test_a_million_in_order_are_one_range():
    assert list(of(list(range(1, 1_000_001)))) == [(1, 1_000_000)]
