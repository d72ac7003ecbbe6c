"""The natural JSON form of a Python object, one level deep and lazily: nothing is copied, no generator is consumed."""

import datetime
import decimal
import fractions
import ipaddress
import numbers
import pathlib
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import chain
from operator import getitem
from types import SimpleNamespace
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, PlainSerializer, RootModel, WrapSerializer

from tracequeue.encoding.text import error_text, type_name


@dataclass(frozen=True, slots=True)
class Members:
    """A JSON object to be: pairs of any key and any value; `count` is None where it is not known."""

    pairs: Iterator[tuple[object, object]]
    count: int | None


@dataclass(frozen=True, slots=True)
class Elements:
    """A JSON array to be."""

    items: Iterator[object]
    count: int | None


class Unreadable:
    """An attribute, item or object whose own code raised. No dataclass: orjson would write that by itself."""

    def __init__(self, error: str) -> None:
        self.error = error


Form: TypeAlias = object
"""`Members`, `Elements`, `Unreadable`, or another value to write instead."""

TEXT: Final = (
    datetime.timedelta,
    decimal.Decimal,
    fractions.Fraction,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    pathlib.PurePath,
    uuid.UUID,
)
"""Types whose `str` is the value and nothing else."""
TIMES: Final = (datetime.date, datetime.time)


def natural(value: object) -> Form:  # noqa: PLR0911 - a line for each kind
    """What to write in the place of a value that is no scalar: its members, its elements, or another value.

    Foreign code may raise anything out of here, and later out of the iterators.
    """
    kind = type(value)
    if kind is Unreadable:
        return value
    if issubclass(kind, dict):
        return Members(iter(dict.items(value)), dict.__len__(value))  # type: ignore[arg-type]
    if issubclass(kind, list):
        return Elements(list.__iter__(value), list.__len__(value))  # type: ignore[arg-type]
    if issubclass(kind, tuple):
        return _tuple(value)  # type: ignore[arg-type]
    if issubclass(kind, Enum):
        return value._value_  # type: ignore[attr-defined]
    if issubclass(kind, TIMES):
        return value.isoformat()  # type: ignore[attr-defined]
    if issubclass(kind, TEXT):
        return str(value)
    if issubclass(kind, BaseException):
        return error_text(value)  # type: ignore[arg-type]
    return _structured(value)


def _tuple(value: tuple[object, ...]) -> Form:
    names = getattr(type(value), "_fields", None)
    if names is not None and len(names) == tuple.__len__(value):
        return Members(zip(names, tuple.__iter__(value), strict=False), len(names))
    return Elements(tuple.__iter__(value), tuple.__len__(value))


def _structured(value: Any) -> Form:  # noqa: PLR0911 - a line for each kind
    """Objects with fields, containers of other makes, numbers of other makes; else the `repr`."""
    kind = type(value)
    if issubclass(kind, type):
        return repr(value)
    if issubclass(kind, BaseModel):
        return _model(value)
    names = field_names(kind)
    if names is not None:
        return Members(attributes(value, names), len(names))
    if issubclass(kind, SimpleNamespace):
        return Members(iter(vars(value).items()), len(vars(value)))
    if issubclass(kind, Mapping):
        return Members(_pairs(value), _count(value))
    if issubclass(kind, Sequence | Set | ValuesView | deque) and kind is not range:
        return Elements(iter(value), _count(value))
    if issubclass(kind, numbers.Integral):
        return int(value)
    if issubclass(kind, numbers.Real):
        return float(value)
    return repr(value)


def field_names(kind: Any) -> list[str] | None:
    """The public fields of a dataclass or attrs class; None for any other class."""
    fields = getattr(kind, "__dataclass_fields__", None)
    if type(fields) is dict:
        return [name for name in fields if not name.startswith("_")]
    fields = getattr(kind, "__attrs_attrs__", None)
    if isinstance(fields, tuple):
        return [field.name for field in fields if not field.name.startswith("_")]
    return None


def attributes(value: object, names: Iterable[str]) -> Iterator[tuple[str, object]]:
    """Attributes by name; one that raises does not hide the others."""
    for name in names:
        yield name, _asked(getattr, value, name)


def _pairs(value: Mapping[object, object]) -> Iterator[tuple[object, object]]:
    for key in value:
        yield key, _asked(getitem, value, key)


def _asked(question: Callable[..., object], *about: object) -> object:
    try:
        return question(*about)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # properties, lazy mappings and serialisers of the user may raise anything
        return Unreadable(type_name(error))


def _model(value: BaseModel) -> Form:
    """A model's own serialiser where it has one, else its fields: `model_dump` copies all of a huge model.

    Where the serialiser raises, the fields are not shown: it may be there to hide something.
    """
    kind = type(value)
    if _serialises_itself(kind):
        return _asked(partial(value.model_dump, warnings=False))
    if issubclass(kind, RootModel):
        return value.__dict__["root"]
    hidden = {name for name, field in kind.model_fields.items() if field.exclude}
    extra = value.__pydantic_extra__ or {}
    shown = {name: item for name, item in value.__dict__.items() if name not in hidden}
    return Members(chain(shown.items(), extra.items()), len(shown) + len(extra))


def _serialises_itself(kind: type[BaseModel]) -> bool:
    own = kind.__pydantic_decorators__
    if own.field_serializers or own.model_serializers or own.computed_fields:
        return True
    marks = (PlainSerializer, WrapSerializer)
    return any(isinstance(mark, marks) for field in kind.model_fields.values() for mark in field.metadata)


def _count(value: object) -> int | None:
    count = _asked(len, value)
    return count if isinstance(count, int) else None
