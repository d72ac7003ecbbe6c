"""Keys of any type -> names of JSON members: text, distinct within their object, so that no value is lost."""

from enum import Enum
from typing import Any, Final

import orjson

from tracequeue.encoding.natural import natural
from tracequeue.encoding.plain import small_json
from tracequeue.encoding.text import ELLIPSIS, cleaned, type_name

MAX_DECIMAL_BITS: Final = 2_048
"""Longer integers are described: their decimal text takes quadratic time, and CPython limits it."""


class MemberNames:
    """The names of one object that are taken, each with how often it was wanted."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def distinct(self, text: str) -> str:
        """The text, or with a number where another key had it: `{1: a, "1": b}` keeps both values."""
        name = text
        while name in self._taken:
            self._taken[text] += 1
            name = f"{text} ({self._taken[text]})"
        self._taken[name] = 1
        return name

    def small_json(self, pairs: list[tuple[Any, Any]], most: int) -> bytes | None:
        """Pairs with new plain keys and small plain values as one JSON object; None for any other."""
        if any(type(key) is not str or key in self._taken for key, _ in pairs):
            return None
        members = dict(pairs)
        data = small_json(members, most) if len(members) == len(pairs) else None
        if data:
            self._taken.update(dict.fromkeys(members, 1))
        return data


def shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + ELLIPSIS


def key_text(key: object, max_chars: int) -> str:
    """A key of any type as text without NUL and surrogates, of about `max_chars`."""
    kind = type(key)
    if issubclass(kind, str) and not issubclass(kind, Enum):
        text = str.__getitem__(key, slice(max_chars + 1))  # type: ignore[index]
    elif key is None or kind is bool:
        text = orjson.dumps(key).decode()
    elif kind is int and key.bit_length() > MAX_DECIMAL_BITS:  # type: ignore[attr-defined]
        text = f"[integer of {key.bit_length()} bits]"  # type: ignore[attr-defined]
    else:
        text = _foreign_key_text(key, max_chars)
    return cleaned(text)[0]


def _foreign_key_text(key: object, max_chars: int) -> str:
    try:
        form = key._value_ if isinstance(key, Enum) else key if isinstance(key, int | float) else natural(key)
        return str(form if isinstance(form, str | int | float) else repr(key))[: max_chars + 1]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a key's own code may raise anything
        return f"[unreadable key: {type_name(error)}]"
