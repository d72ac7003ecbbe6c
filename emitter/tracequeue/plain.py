"""Quick looks at values of plain types, with which the encoder decides how to write them."""

from math import isfinite
from typing import Any, Final

import orjson

LEAVES: Final = frozenset({str, int, bool, type(None)})
CONTAINERS: Final = frozenset({dict, list, tuple})
SMALL: Final = 8_192
"""Nodes and characters that are worth a look before the members are written one by one."""


def first_look(value: Any, max_bytes: int) -> bool | None:
    """Whether a value or all members of a dict are leaves; None where one of them is surely larger than allowed."""
    kind = type(value)
    if kind is not dict:
        return None if _is_large(kind, value, max_bytes) else kind in LEAVES
    if len(value) > max_bytes:
        return None
    plain = True
    for item in value.values():
        kind = type(item)
        if kind is str:
            if len(item) > max_bytes:
                return None
        elif kind not in LEAVES:
            if _is_large(kind, item, max_bytes):
                return None
            plain = False
    return plain


def _is_large(kind: type, value: Any, max_bytes: int) -> bool:
    return (kind is str or kind in CONTAINERS) and len(value) > max_bytes


def small_json(value: Any, most: int) -> bytes | None:
    """The JSON of a value of plain types if it needs no change and at most `most` bytes; None for any other.

    Bounded by `SMALL`, whatever the size of the value; one orjson call where it succeeds.
    """
    left = min(most, SMALL)
    pending = [value]
    while pending and left >= 0:
        item = pending.pop()
        kind = type(item)
        left -= 1
        if kind is str:
            left -= len(item)
        elif kind in CONTAINERS:
            if len(item) <= left:
                pending.extend(item)
                if kind is dict:
                    pending.extend(item.values())
            else:
                left = -1
        elif kind not in LEAVES and not (kind is float and isfinite(item)):
            return None
    return _safe_json(value, most) if left >= 0 else None


def _safe_json(value: Any, most: int) -> bytes | None:
    try:
        data = orjson.dumps(value)
    except TypeError:  # integers beyond 64 bit, surrogates, keys that are no text
        return None
    return data if len(data) <= most and b"\\u0000" not in data else None
