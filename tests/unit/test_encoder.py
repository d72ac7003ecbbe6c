"""What `encode` makes of each kind of value, and that its work is bounded by the bytes allowed."""

import json
import os
import tracemalloc
from collections import OrderedDict, UserDict, deque, namedtuple
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, SecretStr, field_serializer, model_serializer

from tracequeue.encoding import Notes, clean_text, encode, encode_bounded, error_text, stacktrace_text

LIMIT = 65_536
NAN = float("nan")


def encoded(value: object, limit: int = LIMIT) -> tuple[Any, Notes]:
    notes: Notes = {}
    data = encode(value, limit, "input_data", notes)
    assert len(data) <= limit
    return json.loads(data), notes


def total(value: object, limit: int = LIMIT) -> tuple[Any, Notes]:
    notes: Notes = {}
    data = encode_bounded(value, limit, "input_data", notes)
    assert len(data) <= limit
    return json.loads(data), notes


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Tone(str, Enum):  # noqa: UP042 - the older form is another type to orjson
    DARK = "dark"


Point = namedtuple("Point", "x y")


@dataclass
class Job:
    name: str
    steps: list[int] = field(default_factory=list)
    _cache: object = None


@dataclass(frozen=True, slots=True)
class Slotted:
    name: str


class User(BaseModel):
    name: str
    key: SecretStr = SecretStr("hunter2")
    hidden: str = Field("not for others", exclude=True)


class Masked(BaseModel):
    card: str

    @field_serializer("card")
    def _mask(self, card: str) -> str:
        return "****" + card[-4:]


class BadSerialiser(BaseModel):
    card: str = "4111 1111"

    @model_serializer
    def _fail(self) -> dict[str, Any]:
        raise SystemExit(3)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Numbers(RootModel[list[float]]):
    pass


class Attrs:
    """The form that attrs gives its classes."""

    __attrs_attrs__ = (SimpleNamespace(name="host"), SimpleNamespace(name="port"))

    def __init__(self) -> None:
        self.host, self.port = "here", 1


class Words(Sequence[str]):
    def __getitem__(self, index: Any) -> Any:
        return ["a", "b"][index]

    def __len__(self) -> int:
        return 2


class Unstable(Mapping[str, int]):
    """A lazy mapping; one of its values cannot be read."""

    def __getitem__(self, key: str) -> int:
        if key == "b":
            raise OSError("gone")
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter("abc")

    def __len__(self) -> int:
        raise OSError("gone")


NATURAL_FORMS = [
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    (Tone.DARK, "dark"),
    (Point(1, 2), {"x": 1, "y": 2}),
    (Job("train", [1]), {"name": "train", "steps": [1]}),
    (Slotted("a"), {"name": "a"}),
    (User(name="Ann"), {"name": "Ann", "key": "SecretStr('**********')"}),
    (Masked(card="4111 1111"), {"card": "****1111"}),
    (Open(a=1), {"a": 1}),
    (Numbers([1.5]), [1.5]),
    (Attrs(), {"host": "here", "port": 1}),
    (Words(), ["a", "b"]),
    ((1, (2,)), [1, [2]]),
    (deque([1, 2]), [1, 2]),
    ({7}, [7]),
    (frozenset({7}), [7]),
    ({1: 2}.keys(), [1]),
    ({1: 2}.values(), [2]),
    ({1: 2}.items(), [[1, 2]]),
    (OrderedDict(a=1), {"a": 1}),
    (UserDict(a=1), {"a": 1}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (SimpleNamespace(a=1), {"a": 1}),
    (Decimal("1.50"), "1.50"),
    (Fraction(1, 3), "1/3"),
    (Path("/tmp/x"), "/tmp/x"),
    (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (time(1, 2), "01:02:00"),
    (timedelta(days=1, seconds=5), "1 day, 0:00:05"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (1 + 2j, "(1+2j)"),
    (range(3), "range(0, 3)"),
    (ValueError("bad"), "ValueError: bad"),
    (int, "<class 'int'>"),
]


@pytest.mark.parametrize(("value", "expected"), NATURAL_FORMS, ids=lambda value: type(value).__name__)
def test_natural_forms_are_the_same_on_both_ways(value: object, expected: object) -> None:
    assert encoded({"value": value}) == ({"value": expected}, {})
    assert total({"value": value}) == ({"value": expected}, {})


def test_objects_without_a_json_form_are_shown_by_their_repr() -> None:
    value = object()
    assert encoded([value])[0] == [repr(value)]


def test_generators_are_not_consumed() -> None:
    generator = (number for number in range(3))
    assert encoded({"rows": generator})[0]["rows"].startswith("<generator")
    assert list(generator) == [0, 1, 2]


REPAIRS = [
    ("a\0b", "a\ufffdb", {"characters_replaced": 1}),
    ("a\udfff", "a\ufffd", {"characters_replaced": 1}),
    ("a\0b\ud800", "a\ufffdb\ufffd", {"characters_replaced": 2}),
    (NAN, None, {"replaced": "nan"}),
    (float("-inf"), None, {"replaced": "-inf"}),
    (2**64, "18446744073709551616", {"replaced": "integer as text"}),
    (-(2**63) - 1, "-9223372036854775809", {"replaced": "integer as text"}),
    (1 << 100_000, "[integer of 100001 bits]", {"replaced": "integer as text"}),
    (b"caf\xc3\xa9", "café", {"bytes": 5, "shown_as": "text"}),
    (bytearray(b"\xff\x00"), "/wA=", {"bytes": 2, "shown_as": "base64"}),
    (memoryview(b"abcdef")[1:3], "bc", {"bytes": 2, "shown_as": "text"}),
]


@pytest.mark.parametrize(("value", "expected", "said"), REPAIRS, ids=lambda value: type(value).__name__)
def test_what_json_or_postgres_cannot_hold_is_replaced_and_noted(value: object, expected: object, said: Notes) -> None:
    assert encoded(value) == (expected, {"input_data": said})
    for encode_so in (encoded, total):
        assert encode_so({"a": [None, value]}) == ({"a": [None, expected]}, {"input_data.a[1]": said})


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), 1e308, 5e-324, -0.0, "\\u0000", "\ufffd", "😀", "\x1f\x7f"])
def test_what_both_can_hold_is_not_touched(value: object) -> None:
    assert encoded({"a": value}) == ({"a": value}, {})
    assert total({"a": value}) == ({"a": value}, {})


@pytest.mark.parametrize(
    "value",
    [Job("x", [NAN]), Numbers([1.0, NAN]), Open(a={"b": NAN}), {"a": (1, [NAN])}, [Slotted(NAN)], Point(NAN, None)],  # type: ignore[arg-type, list-item]
)
def test_a_nan_is_noted_wherever_it_hides(value: object) -> None:
    _, notes = encoded(value)
    assert [note["replaced"] for note in notes.values()] == ["nan"]


def test_none_is_not_taken_for_nan() -> None:
    assert encoded({"a": None, "b": [None, 1.5], "c": Job("x", [None])})[1] == {}  # type: ignore[list-item]


def test_keys_become_distinct_text() -> None:
    value = {1: "a", "1": "b", "1 (2)": "c", None: "d", False: "e", (1, 2): "f", "\0": "g", "\ufffd": "h", 1.5: "i"}
    expected = {
        "1": "a",
        "1 (2)": "b",
        "1 (2) (2)": "c",
        "null": "d",
        "false": "e",
        "(1, 2)": "f",
        "\ufffd": "g",
        "\ufffd (2)": "h",
        "1.5": "i",
    }
    result, notes = encoded(value)
    assert result == expected
    assert notes["input_data.1 (2)"] == {"key": "renamed: taken"}


def test_cycles_and_depth_end_in_a_marker() -> None:
    cycle: dict[str, Any] = {"name": "a"}
    cycle["self"] = cycle
    assert encoded(cycle) == (
        {"name": "a", "self": "[cycle]"},
        {"input_data.self": {"replaced": "cycle: dict"}},
    )
    deep: Any = "bottom"
    for _ in range(100_000):
        deep = [deep]
    result, notes = encoded(deep)
    assert "[too deep]" in json.dumps(result)
    assert list(notes.values()) == [{"replaced": "too deep: list"}]


def test_a_shared_value_is_no_cycle() -> None:
    shared = [1]
    assert encoded({"a": shared, 2: shared}) == ({"a": [1], "2": [1]}, {})


class Hostile:
    def _raise(self, *_: object) -> Any:
        raise SystemExit("a user's code may raise anything")

    __repr__ = __str__ = __len__ = __iter__ = __getattr__ = __bool__ = __eq__ = __hash__ = _raise  # type: ignore[assignment]
    __class__ = property(_raise)  # type: ignore[assignment]


class Posing:
    __class__ = dict  # type: ignore[assignment]


@dataclass
class Half:
    good: int
    bad: int


def _exit(_: object) -> int:
    raise SystemExit


def test_broken_objects_harm_only_themselves() -> None:
    result, notes = encoded({"before": 1, "hostile": Hostile(), "after": [2]})
    assert result == {"before": 1, "hostile": "[unreadable]", "after": [2]}
    assert notes == {"input_data.hostile": {"replaced": "unreadable: SystemExit"}}


def test_one_broken_attribute_or_item_harms_only_itself() -> None:
    assert total(Unstable())[0] == {"a": 1, "b": "[unreadable]", "c": 1}
    assert encoded(Unstable())[0] == {"a": 1, "b": "[unreadable]", "c": 1}
    half = Half(1, 2)
    Half.bad = property(_exit)  # type: ignore[assignment]
    assert total(half)[0] == {"good": 1, "bad": "[unreadable]"}


def test_a_serialiser_that_raises_shows_nothing_of_its_model() -> None:
    said = {"replaced": "unreadable: PydanticSerializationError"}
    assert encoded([BadSerialiser()]) == (["[unreadable]"], {"input_data[0]": said})


def test_the_bounded_walk_keeps_what_a_model_hides() -> None:
    value = {"user": User(name="\0"), "card": Masked(card="4111 1111"), "large": "x" * 1_000_000}
    text = json.dumps(encoded(value)[0])
    assert "hunter2" not in text
    assert "not for others" not in text
    assert "4111" not in text


def test_a_value_that_lies_about_its_class_is_written() -> None:
    posing = Posing()
    assert encoded({"a": posing})[0] == {"a": repr(posing)}


def test_a_keyboard_interrupt_is_the_one_thing_let_through() -> None:
    class Interrupted:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    for encoder in (encode, encode_bounded):
        with pytest.raises(KeyboardInterrupt):
            encoder([Interrupted()], LIMIT, "input_data", {})


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


def test_the_same_value_is_cut_the_same_way() -> None:
    value = {"a": ["é" * 999] * 99, "b": list(range(9_999))}
    assert encode(value, 5_000, "p", {}) == encode(value, 5_000, "p", {})


def test_foreign_json_is_made_safe() -> None:
    foreign = json.loads('{"a": NaN, "b\\u0000": "\\ud800", "c": 123456789012345678901234567890, "d": 1e999}')
    assert encoded(foreign)[0] == {"a": None, "b\ufffd": "\ufffd", "c": "123456789012345678901234567890", "d": None}


def test_error_text() -> None:
    assert error_text(ValueError("bad\0")) == "ValueError: bad\ufffd"
    assert error_text(KeyError()) == "KeyError"
    assert error_text(OSError(2, "No such file")) == "FileNotFoundError: [Errno 2] No such file"
    long = error_text(ValueError("é" * 100_000), 100)
    assert len(long.encode()) <= 100
    assert long.startswith("ValueError: éé")
    assert long.endswith("…")


def test_error_text_of_a_broken_error() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise SystemExit

    assert error_text(Broken()) == "Broken: [no message: SystemExit]"


def test_stacktrace_keeps_the_last_frames_and_shows_no_locals() -> None:
    def deep(level: int) -> None:
        password = "hunter" + str(2 + level * 0)
        if level == 0:
            raise ValueError(len(password))
        deep(level - 1)

    with pytest.raises(ValueError, match="7") as caught:
        deep(300)
    text = stacktrace_text(caught.value, 1_000)
    assert len(text.encode()) <= 1_000
    assert text.endswith("ValueError: 7")
    assert "raise ValueError(len(password))" in text
    assert "hunter2" not in text


def test_stacktrace_shows_causes_and_survives_a_loop_of_them() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__context__ = second, first
    text = stacktrace_text(first)
    assert text.index("KeyError") < text.index("ValueError: first")


def test_clean_text() -> None:
    assert clean_text("a\0\ud800", 10) == "a\ufffd\ufffd"
    assert clean_text("x" * 300, 200) == "x" * 199 + "…"
    assert clean_text("x" * 200, 200) == "x" * 200


def test_the_environment_is_shown_as_a_mapping() -> None:
    assert encoded(os.environ)[0] == {key: clean_text(value, LIMIT) for key, value in os.environ.items()}
