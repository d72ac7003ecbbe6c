"""Values whose own code raises or lies harm only themselves."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, model_serializer

from tests.fixtures.encoding import LIMIT, Masked, User, encoded, total
from tracequeue.encoding import encode, encode_bounded


class BadSerialiser(BaseModel):
    card: str = "4111 1111"

    @model_serializer
    def _fail(self) -> dict[str, Any]:
        raise SystemExit(3)


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
