"""Any Python value -> valid, bounded, Postgres-safe JSON: one orjson call; only what is odd takes the total path.

This is the bot's hot path: measured by benchmarks/encoder.py.
"""

from math import isfinite
from typing import Any, Final

from orjson import dumps
from pydantic import BaseModel

from tracequeue.encoding.bounded import write_bounded
from tracequeue.encoding.natural import Elements, Members, Unreadable, attributes, field_names, natural
from tracequeue.encoding.notes import Notes
from tracequeue.encoding.plain import BACKSLASH, ESCAPED_NUL, LEAVES, look_inside

UNREADABLE: Final = b'"[unreadable]"'
MAX_OPTIMISTIC_ITEMS: Final = 1_000
"""Foreign containers up to this size are copied for orjson; larger ones take the bounded walk."""
NOTED: Final = (bytes, bytearray, memoryview, Unreadable)


def encode(value: object, max_bytes: int, path: str, notes: Notes) -> bytes:
    """Any value as JSON of at most `max_bytes` (>= 256). What is cut or replaced is noted under `path`.

    Raises nothing but `KeyboardInterrupt`.
    """
    try:
        data = _at_once(value, max_bytes)
        if data is not None:
            return data
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what orjson cannot write, and whatever foreign code raises meanwhile
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise error.__cause__ from None
    try:
        return encode_bounded(value, max_bytes, path, notes)
    except RecursionError:  # the bot's stack has no room for one more call
        notes[path] = {"replaced": "RecursionError"}
        return UNREADABLE


def _at_once(value: Any, max_bytes: int) -> bytes | None:
    """The JSON of one orjson call, where it needs no change. None for what is larger than allowed, or odd."""
    plain = True
    for item in value.values() if type(value) is dict and len(value) <= max_bytes else (value,):
        kind = type(item)
        if kind is str:
            if len(item) > max_bytes:
                return None
        elif kind is float:
            plain = plain and isfinite(item)
        elif kind not in LEAVES:
            look = look_inside(item, max_bytes)
            if look is None:
                return None
            plain = plain and look
    data = dumps(value, _default)
    if len(data) > max_bytes or (BACKSLASH in data and data.find(ESCAPED_NUL) >= 0):
        return None
    return data if plain or data.find(b"null") < 0 or not _has_non_finite(value, len(data)) else None


def encode_bounded(value: object, max_bytes: int, path: str, notes: Notes) -> bytes:
    """As `encode`, without the optimistic call: for a call site whose values were too large before."""
    try:
        return write_bounded(value, max_bytes, path, notes)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # out of memory or of stack: nothing of the value can be shown
        notes[path] = {"replaced": type(error).__name__}
        return UNREADABLE


def _default(value: object) -> object:
    """What orjson does not know, in a form that it knows. Raising sends the whole value to the total path."""
    if issubclass(type(value), BaseModel):
        return value.model_dump(warnings=False)  # type: ignore[attr-defined]
    if isinstance(value, NOTED):
        raise TypeError("must be noted")
    form = natural(value)
    if not isinstance(form, Members | Elements):
        return form
    if form.count is None or form.count > MAX_OPTIMISTIC_ITEMS:
        raise TypeError("too large to copy")
    return dict(form.pairs) if isinstance(form, Members) else list(form.items)


def _has_non_finite(value: object, max_nodes: int) -> bool:
    """Whether a `null` may stand for NaN or infinity, which orjson replaces in silence. True when in doubt."""
    pending: list[Any] = [value]
    seen = 0
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind in LEAVES:
            continue
        seen += 1
        if seen > max_nodes:
            return True
        if kind is dict:
            pending.extend(item.values())
        elif kind is list or kind is tuple:
            pending.extend(item)
        elif isinstance(item, float):
            if not isfinite(item):
                return True
        else:
            pending.extend(_inside(item))
    return False


def _inside(value: object) -> list[object]:
    """What a structured object holds, as `_default` and orjson would show it."""
    names = field_names(type(value))
    if names is not None:
        return [item for _, item in attributes(value, names)]
    if isinstance(value, BaseModel):
        return [*value.__dict__.values(), *(value.__pydantic_extra__ or {}).values()]
    form = natural(value)
    if isinstance(form, Members):
        return [item for _, item in form.pairs]
    if isinstance(form, Elements):
        return list(form.items)
    return [form]
