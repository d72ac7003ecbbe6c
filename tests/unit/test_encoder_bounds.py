"""A large value is cut, says so, and costs no more than the bytes allowed."""

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from pydantic_core import from_json

from tests.fixtures.encoding import LIMIT, NAN, Open, Slotted, encoded, total
from tracequeue.encoding import encode, encode_bounded


def test_a_long_text_says_how_much_was_cut() -> None:
    result, notes = encoded("é" * 1_000_000, 1_000)
    kept = len(result) - 1
    assert result == "é" * kept + "…"
    assert notes == {"input_data": {"characters_cut": 1_000_000 - kept}}
    assert len(orjson.dumps(result)) > 990, "the room is used"


@pytest.mark.parametrize("unit", ['"', "\\", "\n", "\x01", "é", "😀", 'a\\"', "\\u0000"])
def test_no_escape_and_no_character_is_split(unit: str) -> None:
    for limit in range(256, 300):
        result, notes = total(unit * 500, limit)
        kept = result.removesuffix("…")
        assert (unit * 500).startswith(kept)
        assert notes["input_data"]["characters_cut"] == len(unit) * 500 - len(kept)


def test_long_containers_say_how_many_items_were_left_out() -> None:
    for value in (list(range(100_000)), {str(number): number for number in range(100_000)}, set(range(100_000))):
        result, notes = encoded(value, 1_000)
        assert notes == {"input_data": {"items_left_out": 100_000 - len(result)}}
        assert len(result) > 50


def test_one_large_member_does_not_hide_the_others() -> None:
    value = {"text": "x" * 10_000_000, "history": [{"role": "user", "content": "y" * 100_000}] * 3, "user_id": 7}
    result, notes = encoded(value)
    assert len(result["text"]) > 30_000
    assert len(result["history"][2]["content"]) > 1_000
    assert result["user_id"] == 7
    assert notes["input_data.text"]["characters_cut"] > 9_000_000


def test_a_value_that_fits_is_not_cut_because_something_in_it_is_odd() -> None:
    value = {"text": "x" * 60_000, "odd": "\0", "user_id": 7}
    assert encoded(value) == (value | {"odd": "\ufffd"}, {"input_data.odd": {"characters_replaced": 1}})


def test_notes_are_bounded() -> None:
    _, notes = encoded({f"key {number}": NAN for number in range(1_000)})
    assert len(notes) == 33
    assert notes["(unlisted)"] == 968


class Counting(Sequence[int]):
    """A sequence of ten million items that counts how many were asked for."""

    asked = 0

    def __getitem__(self, index: Any) -> int:
        self.asked += 1
        return int(index)

    def __len__(self) -> int:
        return 10_000_000


def test_items_that_find_no_room_are_not_asked_for() -> None:
    value = Counting()
    encoded(value, 1_000)
    assert value.asked < 2_000


LARGE = {
    "text": lambda: "x" * 10_000_000,
    "member": lambda: {"text": "x" * 10_000_000, "user_id": 1},
    "numbers": lambda: list(range(1_000_000)),
    "member numbers": lambda: {"rows": list(range(1_000_000))},
    "keys": lambda: dict.fromkeys(range(300_000)),
    "bytes": lambda: bytes(10_000_000),
    "model": lambda: Open(rows=list(range(1_000_000))),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_values_are_neither_copied_nor_walked(name: str) -> None:
    value = LARGE[name]()
    tracemalloc.start()
    try:
        encode_bounded(value, LIMIT, "input_data", {})
        if name != "model":
            encode(value, LIMIT, "input_data", {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * LIMIT


@dataclass
class Node:
    name: str
    children: list[Any]


def grown(leaf: Any, grow: Any) -> Any:
    for _ in range(60):
        leaf = grow(leaf)
    return leaf


SHARING = {
    "lists": lambda: grown([1], lambda inner: [inner, inner]),
    "dicts": lambda: {"name": "x", "graph": grown({}, lambda inner: {"id": 1, "a": inner, "b": inner})},
    "objects": lambda: grown(Node("leaf", []), lambda inner: Node("inner", [inner, inner])),
    "slots": lambda: grown(Slotted("leaf"), lambda inner: Slotted((inner, inner))),  # type: ignore[arg-type]
    "models": lambda: grown(Open(), lambda inner: Open(a=inner, b=[inner])),
    "wide": lambda: [[[[0] * 1000] * 1000] * 1000] * 1000,
}


@pytest.mark.parametrize("name", SHARING)
def test_shared_branches_are_not_multiplied(name: str) -> None:
    """Such values are small in memory; written whole, their JSON would not fit into any machine."""
    value = SHARING[name]()
    for encode_so in (encoded, total):
        _, notes = encode_so(value)
        assert notes


BESIDE = {
    "an empty part": lambda inner: [[], inner, inner],
    "a part of its own": lambda inner: {"tags": ["a"], "left": inner, "right": inner},
    "leaves": lambda inner: [*range(8), inner, inner],
    "an empty part of an object": lambda inner: Slotted(([], inner, inner)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", BESIDE)
def test_shared_branches_are_found_beside_others(name: str) -> None:
    """Counted in memory: written whole, these are 8 MB or more, and each level more would double it."""
    value: Any = [1]
    for _ in range(20):
        value = BESIDE[name](value)
    tracemalloc.start()
    try:
        encode(value, LIMIT, "input_data", {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * LIMIT


def test_levels_too_deep_to_be_shown_are_hardly_looked_at() -> None:
    """Counted in calls of built-in functions: looks that are bounded by nodes alone make 800,000."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    calls: Counter[str] = Counter()
    sys.setprofile(lambda _frame, event, _argument: calls.update([event]))
    try:
        encode(deep, LIMIT, "input_data", {})
    finally:
        sys.setprofile(None)
    assert calls["c_call"] < 40_000


@pytest.mark.parametrize("grow", [lambda inner: [inner], lambda inner: {"a": 1, "b": inner}])
@pytest.mark.parametrize("levels", [30, 100, 149, 199, 220, 254, 300])
def test_what_is_written_can_be_read_however_deep(levels: int, grow: Callable[[Any], Any]) -> None:
    """The worker's models read less deep than orjson writes."""
    value: Any = 1
    for _ in range(levels):
        value = grow(value)
    for way in (encode, encode_bounded):
        line = b'{"input_data":%b}' % way({"value": value}, LIMIT, "input_data", {})
        assert from_json(line) == orjson.loads(line)


def test_the_same_value_is_cut_the_same_way() -> None:
    value = {"a": ["é" * 999] * 99, "b": list(range(9_999))}
    assert encode(value, 5_000, "p", {}) == encode(value, 5_000, "p", {})
