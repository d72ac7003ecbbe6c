"""Sets of frame numbers, kept as ranges: a million frames that came in order are one range."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Self

Range = tuple[int, int]
"""The first and the last number, both included."""


class FrameNumbers:
    """Numbers of the frames of one emitter in one partition."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    @classmethod
    def of(cls, ranges: Iterable[Range]) -> Self:
        """From sorted ranges that are apart."""
        made = cls()
        for first, last in ranges:
            made._firsts.append(first)
            made._lasts.append(last)
        return made

    def __iter__(self) -> Iterator[Range]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]

    def add(self, number: int) -> None:
        if number in self:
            return
        place = bisect_right(self._firsts, number)
        joins_before = place > 0 and self._lasts[place - 1] == number - 1
        joins_after = place < len(self._firsts) and self._firsts[place] == number + 1
        if joins_before and joins_after:
            self._lasts[place - 1] = self._lasts.pop(place)
            self._firsts.pop(place)
        elif joins_before:
            self._lasts[place - 1] = number
        elif joins_after:
            self._firsts[place] = number
        else:
            self._firsts.insert(place, number)
            self._lasts.insert(place, number)


def in_both(some: Iterable[Range], others: Iterable[Range]) -> list[Range]:
    """The numbers that are in both of two sorted sequences of ranges."""
    found: list[Range] = []
    left, right = list(some), list(others)
    while left and right:
        first, last = max(left[0][0], right[0][0]), min(left[0][1], right[0][1])
        if first <= last:
            found.append((first, last))
        (left if left[0][1] < right[0][1] else right).pop(0)
    return found
