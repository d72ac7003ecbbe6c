"""Quick looks at values of plain types, with which the encoder decides how to write them."""

from collections.abc import Callable, Collection
from itertools import islice
from math import isfinite
from typing import Any, Final

import orjson

LEAVES: Final = frozenset({str, int, bool, type(None)})
CONTAINERS: Final = frozenset({dict, list, tuple})
PROBED: Final = 8
"""Members among which a branch is looked for."""
BACKSLASH: Final = ord("\\")
ESCAPED_NUL: Final = rb"\u0000"
MOST_LEVELS: Final = 150
"""What is written at once may be so deep. orjson writes 254 levels, but pydantic reads only 200: these, those of
a line around them, and `MAX_DEPTH` that the bounded walk may have written before."""
FEW: Final = 64
"""Nodes that are looked at one by one: exact, and for most values cheaper than to estimate."""
DEEP: Final = 6
"""Levels within so few nodes, from which on all are counted: parts may be shared. What is only long has fewer."""
LEAST_NODE: Final = len(b"0,")
SMALL: Final = 8_192
"""Nodes and characters that are worth a look before the members are written one by one."""


def look_inside(value: Any, max_bytes: int) -> bool | None:
    """Whether no leaf of a value can hide something: NaN and infinities, which orjson replaces in silence.

    None where the value is surely larger than allowed.
    """
    kind = type(value)
    if kind is float:
        return isfinite(value)
    if kind in CONTAINERS:
        left = _nodes_left(value, FEW)
        if left >= 0:
            return True
        if left <= -DEEP and _has_more(value, max_bytes // LEAST_NODE):
            return None
    return False if _estimate(value, max_bytes, _is_nested) <= max_bytes else None


def _nodes_left(value: Any, nodes: int) -> int:
    """What a plain container leaves of so many nodes. Negative for one that has more, or something that is not plain:
    then it is the level where that was found, -1 for the container's own.

    Parts that are shared count as often as orjson would write them.
    """
    nodes -= len(value)
    if nodes < 0:
        return -1
    for item in value.values() if type(value) is dict else value:
        kind = type(item)
        if kind in LEAVES:
            continue
        if kind in CONTAINERS:
            nodes = _nodes_left(item, nodes - 1)
            if nodes < 0:
                return nodes - 1
        elif kind is not float or not isfinite(item):
            return -1
    return nodes


def _has_more(value: Any, nodes: int) -> bool:
    """Whether plain containers have more than so many nodes, counted as in `_nodes_left`; or too many levels."""
    level = [value]
    for _ in range(MOST_LEVELS):
        deeper: list[Any] = []
        for inner in level:
            nodes -= len(inner)
            if nodes < 0:
                return True
            items = inner.values() if type(inner) is dict else inner
            deeper += [item for item in items if type(item) in CONTAINERS]
        if not deeper:
            return False
        level = deeper
    return True


def _estimate(value: Any, enough: int, is_nested: Callable[[Any], bool]) -> int:
    """The leaves of a value if all its branches are like the one followed; counted no further than `enough`.

    Branches that share their parts have exponentially many: orjson would write them all, out of memory in the end.
    """
    leaves = 1
    inner = value
    for _ in range(MOST_LEVELS):
        kind = type(inner)
        items = inner if kind is list or kind is tuple else _members(inner)
        leaves *= len(items) or 1
        for inner in islice(items, PROBED):
            if type(inner) not in LEAVES and is_nested(inner):
                break
        else:
            break
        if leaves > enough:
            break
    else:
        return enough + 1  # deeper than it could be written at once
    return leaves


def _is_container(value: Any) -> bool:
    """Whether there is more in it; an empty one leads nowhere."""
    return type(value) in CONTAINERS and len(value) > 0


def _is_nested(value: Any) -> bool:
    """Whether there may be more in it; this asks foreign objects, which may raise anything."""
    if type(value) in CONTAINERS:
        return len(value) > 0
    return hasattr(value, "__dict__") or hasattr(value, "__dataclass_fields__")


def _members(value: Any) -> Collection[Any]:
    """Of a dict, a model or another object, one with slots too if it is a dataclass."""
    members = value if type(value) is dict else getattr(value, "__dict__", None)
    members = members or getattr(value, "__pydantic_extra__", None)
    if members:
        return members.values()
    return [getattr(value, name, None) for name in getattr(value, "__dataclass_fields__", ())]


def small_json(value: Any, most: int) -> bytes | None:
    """The JSON of a value of plain types if it needs no change and at most `most` bytes; None for any other.

    Bounded by `SMALL` and by the levels that orjson writes, whatever the value; one orjson call where it succeeds.
    """
    left = min(most, SMALL)
    if type(value) in CONTAINERS and _estimate(value, left, _is_container) > left:
        return None
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        deeper: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                left -= len(item)
            elif kind in CONTAINERS:
                left -= len(item) * (2 if kind is dict else 1)
                if left < 0:
                    return None
                deeper.extend(item)
                if kind is dict:
                    deeper.extend(item.values())
            elif kind not in LEAVES and not (kind is float and isfinite(item)):
                return None
        if left < 0 or not deeper:
            return _safe_json(value, most) if left >= 0 else None
        level = deeper
    return None


def has_escaped_nul(data: bytes) -> bool:
    """Whether `\\u0000` stands in JSON. Not `bytes in bytes`: CPython raises and drops an error there, for 0.3 us."""
    return BACKSLASH in data and data.find(ESCAPED_NUL) >= 0


def _safe_json(value: Any, most: int) -> bytes | None:
    try:
        data = orjson.dumps(value)
    except TypeError:  # integers beyond 64 bit, surrogates, keys that are no text
        return None
    return data if len(data) <= most and not has_escaped_nul(data) else None
