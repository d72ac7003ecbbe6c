"""What `encode` makes of each kind of value: its natural form, or the nearest thing that can be stored."""

import json
import os
from collections import OrderedDict, UserDict, deque, namedtuple
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from pydantic import RootModel

from tests.fixtures.encoding import LIMIT, NAN, Masked, Open, Slotted, User, encoded, total
from tracequeue.encoding import Notes, clean_text


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


def test_foreign_json_is_made_safe() -> None:
    foreign = json.loads('{"a": NaN, "b\\u0000": "\\ud800", "c": 123456789012345678901234567890, "d": 1e999}')
    assert encoded(foreign)[0] == {"a": None, "b\ufffd": "\ufffd", "c": "123456789012345678901234567890", "d": None}


def test_the_environment_is_shown_as_a_mapping() -> None:
    assert encoded(os.environ)[0] == {key: clean_text(value, LIMIT) for key, value in os.environ.items()}
