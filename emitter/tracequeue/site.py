"""A place in the user's code that makes spans: what is the same for each of them, encoded once."""

from collections.abc import Mapping
from functools import lru_cache

import orjson

from tracequeue.encoding import clean_text
from tracequeue.events import NAME_LENGTH


class Site:
    """Name, kind and static attributes of the spans of one decorated function or block.

    `wide_input` and `wide_output` remember that the last value here had to be cut or repaired: the next one
    then goes to the bounded walk first, so that a place that produces large values stalls the loop once only.
    """

    __slots__ = ("attributes", "capture_input", "capture_output", "head", "name", "wide_input", "wide_output")

    def __init__(
        self,
        name: str,
        kind: str | None = None,
        attributes: Mapping[str, object] | None = None,
        *,
        capture_input: bool = True,
        capture_output: bool = True,
    ) -> None:
        self.name = checked_name(name, "a span's name")
        if kind is not None and not isinstance(kind, str):
            raise TypeError(f"kind must be text or None, not {type(kind).__name__}")
        if attributes is not None and not isinstance(attributes, Mapping):
            raise TypeError(f"attributes must be a mapping, not {type(attributes).__name__}")
        self.attributes = dict(attributes) if attributes else {}
        self.capture_input = capture_input
        self.capture_output = capture_output
        self.wide_input = False
        self.wide_output = False
        kind_part = b',"kind":' + orjson.dumps(clean_text(kind, NAME_LENGTH)) if kind else b""
        self.head = b'","span_name":' + orjson.dumps(self.name) + kind_part + b',"start_time":'


@lru_cache(maxsize=1024)
def site_of_block(name: str, kind: str | None) -> Site:
    """The site of a `span(...)` block: blocks of one name and kind share one."""
    return Site(name, kind)


def checked_name(name: object, what: str) -> str:
    """A name of 1 to 200 characters, without what Postgres refuses. Raises `TypeError` or `ValueError`."""
    if not isinstance(name, str):
        raise TypeError(f"{what} must be text, not {type(name).__name__}")
    if not 1 <= len(name) <= NAME_LENGTH:
        raise ValueError(f"{what} must have 1 to {NAME_LENGTH} characters, this one has {len(name)}")
    return clean_text(name, NAME_LENGTH)
