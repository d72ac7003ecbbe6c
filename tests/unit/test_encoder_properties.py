"""Anything in, valid, bounded, Postgres-safe JSON out."""

import json
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace, TracebackType
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tracequeue.encoding import Notes, encode, encode_bounded
from tracequeue.encoding.notes import MAX_NOTES

ANY_TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from('\0\ud800\udfff"\\\n\x1f'))
TIDY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
INT64 = st.integers(-(2**63), 2**64 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)

ORDINARY = st.recursive(
    st.none() | st.booleans() | INT64 | FLOATS | TIDY_TEXT,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TIDY_TEXT, inner, max_size=6),
    max_leaves=30,
)


class Raising:
    """Every question to it is answered by an error, not always an `Exception`."""

    def __init__(self, error: BaseException) -> None:
        object.__setattr__(self, "_error", error)

    def _raise(self, *_: Any) -> Any:
        raise object.__getattribute__(self, "_error")

    __repr__ = __str__ = __len__ = __iter__ = __getattr__ = __hash__ = __eq__ = __bool__ = _raise  # type: ignore[assignment]
    __class__ = property(_raise)  # type: ignore[assignment]


class RaisingText(str):
    __str__ = __repr__ = __len__ = __getitem__ = __iter__ = encode = Raising._raise  # type: ignore[assignment]


class RaisingDict(dict[Any, Any]):
    items = keys = values = __iter__ = __len__ = __getitem__ = __repr__ = Raising._raise  # type: ignore[assignment]


class RaisingInt(int):
    __int__ = __index__ = __repr__ = __str__ = __abs__ = bit_length = Raising._raise  # type: ignore[assignment]


@dataclass
class Pair:
    left: Any
    right: Any


class Model(BaseModel):
    value: Any


@dataclass
class Recipe:
    """How to make a value: a hostile one must not exist while hypothesis looks at what it draws."""

    make: Callable[[], Any]


def made_of(make: Callable[..., Any], *ingredients: st.SearchStrategy[Any]) -> st.SearchStrategy[Recipe]:
    return st.tuples(*ingredients).map(lambda drawn: Recipe(partial(make, *drawn)))


def cooked(value: Any) -> Any:
    """The value of recipes within lists, dicts and tuples."""
    if type(value) is Recipe:
        return value.make()
    if type(value) is list:
        return [cooked(item) for item in value]
    return {key: cooked(item) for key, item in value.items()} if type(value) is dict else value


ERRORS = st.sampled_from([ValueError, SystemExit, GeneratorExit, RecursionError, MemoryError, StopIteration])
ODD = st.one_of(
    ANY_TEXT,
    st.integers(),
    st.integers(-(2**3000), 2**3000),
    st.floats(),
    st.binary(),
    st.binary().map(bytearray),
    st.binary().map(memoryview),
    st.complex_numbers(),
    st.decimals(),
    st.fractions(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    made_of(lambda kind: kind("gone"), ERRORS),
    made_of(lambda kind: Raising(kind()), ERRORS),
    made_of(RaisingText, ANY_TEXT),
    made_of(RaisingInt, st.integers()),
    made_of(PurePosixPath, ANY_TEXT),
    made_of(object),
    made_of(lambda: range(10**9)),
    made_of(lambda: Raising),
)
KEYS = st.one_of(
    ANY_TEXT, st.integers(), st.floats(), st.binary(), st.none(), st.booleans(), st.tuples(st.integers()),
    ANY_TEXT.map(lambda text: "k" * 300 + text),
)  # fmt: skip
MAPPINGS = (RaisingDict, OrderedDict, MappingProxyType)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=8)
    dicts = st.dictionaries(KEYS, inner, max_size=8)
    return st.one_of(
        lists,
        dicts,
        made_of(lambda kind, items: kind(cooked(items)), st.sampled_from([tuple, deque, iter]), lists),
        made_of(lambda kind, members: kind(cooked(members)), st.sampled_from(MAPPINGS), dicts),
        made_of(lambda left, right: Pair(cooked(left), cooked(right)), inner, inner),
        made_of(lambda value: Model.model_construct(value=cooked(value)), inner),
        made_of(lambda value: SimpleNamespace(value=cooked(value)), inner),
        made_of(lambda value, times: [cooked(value)] * times, inner, st.integers(0, 2000)),
        made_of(lambda items: with_itself(cooked(items)), lists),
    )


def with_itself(items: list[Any]) -> list[Any]:
    items.append(items)
    return items


ANYTHING = st.recursive(ODD, containers, max_leaves=25)
LIMITS = st.integers(256, 5000)


def check(data: bytes, limit: int, notes: Notes) -> Any:
    assert len(data) <= limit
    rewritten = orjson.dumps(json.loads(data))  # it refuses lone surrogates
    assert b"\\u0000" not in rewritten.replace(rb"\\", b"")
    assert orjson.loads(data) == json.loads(data, parse_constant=refuse)
    assert all(path.startswith("input_data") or path == "(unlisted)" for path in notes)
    assert len(notes) <= MAX_NOTES + 1
    assert len(orjson.dumps(notes)) < 32_000
    return orjson.loads(data)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@given(ANYTHING, LIMITS)
@settings(max_examples=300, deadline=None)
def test_anything_becomes_bounded_json(value: Any, limit: int) -> None:
    notes: Notes = {}
    check(encode(cooked(value), limit, "input_data", notes), limit, notes)


@given(ANYTHING, LIMITS)
@settings(max_examples=150, deadline=None)
def test_the_bounded_walk_alone_is_total_too(value: Any, limit: int) -> None:
    notes: Notes = {}
    check(encode_bounded(cooked(value), limit, "input_data", notes), limit, notes)


@given(ORDINARY)
@settings(max_examples=150, deadline=None)
def test_ordinary_values_come_back_unchanged(value: Any) -> None:
    for encoder in (encode, encode_bounded):
        notes: Notes = {}
        assert orjson.loads(encoder(value, 200_000, "input_data", notes)) == value
        assert notes == {}


@given(ORDINARY, LIMITS)
@settings(max_examples=150, deadline=None)
def test_both_ways_of_encoding_agree(value: Any, limit: int) -> None:
    fast_notes: Notes = {}
    total_notes: Notes = {}
    fast = encode(value, limit, "input_data", fast_notes)
    total = encode_bounded(value, limit, "input_data", total_notes)
    assert (fast, fast_notes) == (total, total_notes)
    assert total == encode_bounded(value, limit, "input_data", {}), "cut the same way every time"


@given(ANY_TEXT, LIMITS)
@settings(deadline=None)
def test_text_is_cut_between_characters_and_the_rest_is_counted(text: str, limit: int) -> None:
    text *= 1 + 10_000 // (len(text) + 1)
    notes: Notes = {}
    result = check(encode(text, limit, "input_data", notes), limit, notes)
    kept = result.removesuffix("…") if "characters_cut" in notes.get("input_data", {}) else result
    assert len(kept) + notes.get("input_data", {}).get("characters_cut", 0) == len(text)
    same = [a for a, b in zip(kept, text, strict=False) if a == b]
    assert len(kept) - len(same) == notes.get("input_data", {}).get("characters_replaced", 0)


@given(st.lists(st.floats() | st.none(), max_size=20))
@settings(deadline=None)
def test_every_replaced_float_is_noted(values: list[float | None]) -> None:
    notes: Notes = {}
    encode({"values": values}, 10_000, "input_data", notes)
    odd = [index for index, value in enumerate(values) if value is not None and not math.isfinite(value)]
    assert list(notes) == [f"input_data.values[{index}]" for index in odd]


@given(st.dictionaries(st.integers(-9, 9) | st.integers(-9, 9).map(str), st.integers(0, 99), max_size=30))
@settings(deadline=None)
def test_keys_that_become_equal_lose_no_value(members: dict[int | str, int]) -> None:
    result = orjson.loads(encode(members, 10_000, "input_data", {}))
    assert sorted(result.values()) == sorted(members.values())


def test_encoding_survives_a_stack_that_is_nearly_full() -> None:
    value = {"a": {1: [{"b": [float("nan"), Pair(1, 2**70)]}]}}
    results: list[bytes] = []
    raised_at: list[TracebackType | None] = []

    def descend() -> None:
        """Encodes at every depth there is, until Python itself says that it is enough."""
        try:
            results.append(encode(value, 1000, "input_data", {}))
        except RecursionError as error:
            raised_at.append(error.__traceback__.tb_next)  # type: ignore[union-attr]
            raise
        descend()

    with pytest.raises(RecursionError):
        descend()
    for place in raised_at:
        assert place is None or place.tb_lineno == encode.__code__.co_firstlineno, "encode could be called, and raised"
    assert results[0] == b'{"a":{"1":[{"b":[null,{"left":1,"right":"1180591620717411303424"}]}]}}'
    assert all(orjson.loads(data) for data in results)
    assert orjson.loads(results[-1]) == "[unreadable]"
