"""What the encoder makes of any value is accepted by a real `jsonb`; ordinary JSON comes back equal."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import orjson
import pytest
from hypothesis import example, given, settings

from tests.unit.test_encoder_properties import ANYTHING, ORDINARY, cooked
from tracequeue.encoding import Notes, encode

EXAMPLES = 300
LARGE = 65_536
HOSTILE = [
    "\0", "\ud800", "a\udfffb", {"\0": "\0", "": 1}, {"\ud800": 1, "b\ud800": 2}, float("nan"),
    [float("-inf")], 10**5000, -(2**63), 2**64, b"\xff\0", {1: 1, "1": 2}, {"a": {"b": [{}] * 50}}, "\x1b[2J\\u0000",
    "\\", '"', "\u2028", "😀",
]  # fmt: skip

Jsonb = Callable[[bytes], Any]


@pytest.fixture
def jsonb(postgres_url: str) -> Iterator[Jsonb]:
    """What Postgres makes of JSON: parsed, stored as jsonb, and printed again."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(postgres_url))

        def there_and_back(data: bytes) -> Any:
            text = runner.run(connection.fetchval("SELECT $1::text::jsonb::text", data.decode()))
            return orjson.loads(text)

        yield there_and_back
        runner.run(connection.close())


@pytest.mark.parametrize("limit", [256, LARGE])
def test_anything_is_accepted(jsonb: Jsonb, limit: int) -> None:
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(ANYTHING)
    def check(value: Any) -> None:
        jsonb(encode(cooked(value), limit, "value", Notes()))

    check()


def test_what_jsonb_refuses_by_itself_is_accepted(jsonb: Jsonb) -> None:
    for value in HOSTILE:
        jsonb(encode(value, LARGE, "value", Notes()))


def test_a_very_deep_value_is_accepted(jsonb: Jsonb) -> None:
    deep: Any = "bottom"
    for _ in range(100_000):
        deep = [deep]
    jsonb(encode(deep, LARGE, "value", Notes()))


def test_ordinary_json_comes_back_equal(jsonb: Jsonb) -> None:
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(ORDINARY)
    @example([1e308, 5e-324, -0.0, 2**63, -(2**63), 0.1, 1e16])
    def check(value: Any) -> None:
        notes = Notes()
        assert same(jsonb(encode(value, LARGE, "value", notes)), value)
        assert not notes

    check()


def same(stored: Any, value: Any) -> bool:
    """Equal, where a float may come back as the integer of the same size: jsonb has one kind of number."""
    if isinstance(value, float):
        return float(stored) == value
    if isinstance(value, list):
        return len(stored) == len(value) and all(map(same, stored, value))
    if isinstance(value, dict):
        return stored.keys() == value.keys() and all(same(stored[key], value[key]) for key in value)
    return type(stored) is type(value) and bool(stored == value)
