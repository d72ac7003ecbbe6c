"""Since and until: as people type them, for entries and for rows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracequeue_worker.bounds import Bounds, Edge
from tracequeue_worker.replay.selection import Selection

NOVEMBER = 1_793_491_200_000
"""The first of November 2026, in milliseconds."""


@pytest.mark.parametrize(
    ("text", "edge"),
    [
        ("1793491200000-0", Edge(NOVEMBER * 1000)),
        ("1793491200000", Edge(NOVEMBER * 1000)),
        ("1793491200000-17", Edge(NOVEMBER * 1000, 17)),
        ("2026-11-01", Edge(NOVEMBER * 1000)),
        ("20261101", Edge(NOVEMBER * 1000)),
        ("2026-11-01T00:00:00.000001Z", Edge(NOVEMBER * 1000 + 1)),
        ("2026-11-01 01:00+01:00", Edge(NOVEMBER * 1000)),
    ],
)
def test_an_edge_is_a_time_or_an_entry(text: str, edge: Edge) -> None:
    assert Edge.parse(text) == edge


@pytest.mark.parametrize("text", ["2026-11", "1793491200", "2026110112", "", "yesterday", "12-0", "-5", "9999-99-99"])
def test_what_is_neither_is_refused_and_never_taken_for_the_year_1970(text: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        Edge.parse(text)


def test_two_hours_ago() -> None:
    before = datetime.now(UTC) - timedelta(hours=2)
    edge = Edge.parse("2h")
    after = datetime.now(UTC) - timedelta(hours=2)
    assert before.timestamp() * 1e6 - 1 <= edge.microseconds <= after.timestamp() * 1e6 + 1


def test_the_text_is_the_same_however_it_was_typed() -> None:
    typed = [("1793491200000", "1793577600000-0"), ("2026-11-01", "2026-11-02T02:00+02:00")]
    assert {Bounds.parse(*one).text for one in typed} == {"since 2026-11-01T00:00:00Z until 2026-11-02T00:00:00Z"}
    assert Bounds.parse("1793491200000-3", None).text == "since 1793491200000-3"
    assert Bounds().text == ""
    assert Edge.parse("9223372036854775807").text == "9223372036854775807-0"


def test_bounds_with_nothing_between_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing lies from 2026-11-02T00:00:00Z to before 2026-11-01T00:00:00Z"):
        Bounds.parse("2026-11-02", "2026-11-01")
    with pytest.raises(ValueError, match="nothing lies"):
        Bounds.parse("2026-11-02", "2026-11-02")


def test_the_range_of_a_stream() -> None:
    assert (Bounds().first, Bounds().last) == ("-", "+")
    bounds = Bounds.parse("1793491200000-3", "1793491200001-7")
    assert (bounds.first, bounds.last) == ("1793491200000-3", "1793491200001-6")
    assert Bounds(until=Edge(5_000)).last == "4-18446744073709551615"
    assert Bounds(until=Edge(-1)).last == "0-0"


ids = st.tuples(st.integers(0, 30), st.integers(0, 3))
edges = st.builds(Edge, st.integers(-2_000, 30_000), st.integers(0, 3))


@given(ids, edges)
def test_what_is_not_since_is_until(entry_id: tuple[int, int], edge: Edge) -> None:
    name = b"%d-%d" % entry_id
    assert Bounds(since=edge).holds(name) != Bounds(until=edge).holds(name)
    assert Bounds(since=edge).holds_time(entry_id[0]) != Bounds(until=edge).holds_time(entry_id[0])


@given(ids.filter(any), st.none() | edges, st.none() | edges)
def test_the_range_holds_what_the_bounds_hold(
    entry_id: tuple[int, int], since: Edge | None, until: Edge | None
) -> None:
    if since is not None and until is not None and since >= until:
        return
    bounds = Bounds(since, until)
    first, last = (tuple(map(int, end.split("-"))) if end not in "-+" else None for end in (bounds.first, bounds.last))
    inside = (first is None or first <= entry_id) and (last is None or entry_id <= last)
    assert bounds.holds(b"%d-%d" % entry_id) == inside


def test_the_words_of_a_selection() -> None:
    assert Selection().text == ""
    assert not Selection().by_trace
    chosen = Selection(Bounds.parse("2026-11-01", None), 'a "b" telegram-id 5', 7)
    assert chosen.text == 'since 2026-11-01T00:00:00Z pipeline "a \\"b\\" telegram-id 5" telegram-id 7'
    assert chosen.by_trace
