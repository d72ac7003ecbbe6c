"""The total path of the encoder: a walk that writes any Python value as JSON of at most so many bytes.

The work is bounded by the bytes allowed, not by the size of the value. A first attempt writes the value whole; if
it does not fit, a second one gives each member of a container half of what is left, so that one huge member does
not hide its neighbours.
"""

import base64
import codecs
import math
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

import orjson

from tracequeue.natural import MAX_DECIMAL_BITS, Elements, Members, Unreadable, key_text, natural
from tracequeue.notes import Notes, child, merge, note
from tracequeue.text import ELLIPSIS, REPLACEMENT, UNSAFE, type_name

MAX_DEPTH: Final = 32
"""A level costs about five Python frames of the 1,000 that CPython allows, and the bot has used some already."""
LEAST_ROOM: Final = 32
"""Every number, marker and cut string fits in this."""
INT64_MIN: Final = -(2**63)
UINT64_MAX: Final = 2**64 - 1
CONTROLS: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
PARTIAL_ESCAPE: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-f]{0,3})?\Z")
CUT_END: Final = f'{ELLIPSIS}"'.encode()


class _DoesNotFit(Exception):
    """The whole value is larger than allowed."""


def write_bounded(value: object, max_bytes: int, path: str, notes: Notes) -> bytes:
    """Any value as valid JSON of at most `max_bytes` (>= 256), what was changed in `notes`.

    Raises nothing but `KeyboardInterrupt`.
    """
    for attempt in (_Walk(cutting=False), _Walk(cutting=True)):
        try:
            data = attempt.write(value, max_bytes, path)
        except _DoesNotFit:
            continue
        merge(notes, attempt.notes)
        return data
    raise AssertionError("a cutting walk always fits")


class _Walk:
    def __init__(self, *, cutting: bool) -> None:
        self.notes: Notes = {}
        self._cutting = cutting
        self._ancestors: set[int] = set()

    def write(self, value: Any, room: int, path: str) -> bytes:
        """The value as JSON of at most `room` bytes (>= `LEAST_ROOM`)."""
        try:
            return self._scalar(value, room, path) or self._nested(value, room, path)
        except (KeyboardInterrupt, _DoesNotFit):
            raise
        except BaseException as error:  # foreign code may raise anything, also where the stack is nearly full
            return self._marker("unreadable", type_name(error), path)

    def _scalar(self, value: Any, room: int, path: str) -> bytes | None:  # noqa: PLR0911 - a line for each kind
        kind = type(value)
        if value is None:
            return b"null"
        if kind is bool:
            return b"true" if value else b"false"
        if issubclass(kind, Enum):  # perhaps also a str or an int: its value counts
            return None
        if issubclass(kind, str):
            return self._text(value, room, path)
        if issubclass(kind, int):
            return self._integer(int.__int__(value), room, path)
        if issubclass(kind, float):
            return self._float(float.__float__(value), path)
        if issubclass(kind, bytes | bytearray | memoryview):
            return self._binary(value, room, path)
        return None

    def _nested(self, value: object, room: int, path: str) -> bytes:
        if id(value) in self._ancestors:
            return self._marker("cycle", type_name(value), path)
        if len(self._ancestors) >= MAX_DEPTH:
            return self._marker("too deep", type_name(value), path)
        self._ancestors.add(id(value))
        try:
            form = natural(value)
            if isinstance(form, Members):
                return self._members(form, room, path)
            if isinstance(form, Elements):
                return self._elements(form, room, path)
            if isinstance(form, Unreadable):
                return self._marker("unreadable", form.error, path)
            return self.write(form, room, path)
        finally:
            self._ancestors.discard(id(value))

    def _members(self, members: Members, room: int, path: str) -> bytes:
        pieces: list[bytes] = []
        left = room - len(b"{}") + len(b",")
        taken: dict[str, int] = {}
        for key, value in self._guarded(members.pairs, path):
            name = self._name(key, left, taken, path)
            head = orjson.dumps(name) + b":"
            share = self._share(left - len(head) - len(b","), members.count, len(pieces))
            if not share:
                self._left_out(members.count, len(pieces), path)
                break
            pieces.append(head + self.write(value, share, child(path, name)))
            left = self._rest(left, pieces[-1])
        return b"{" + b",".join(pieces) + b"}"

    def _elements(self, elements: Elements, room: int, path: str) -> bytes:
        pieces: list[bytes] = []
        left = room - len(b"[]") + len(b",")
        for value in self._guarded(elements.items, path):
            share = self._share(left - len(b","), elements.count, len(pieces))
            if not share:
                self._left_out(elements.count, len(pieces), path)
                break
            pieces.append(self.write(value, share, f"{path}[{len(pieces)}]"))
            left = self._rest(left, pieces[-1])
        return b"[" + b",".join(pieces) + b"]"

    def _guarded(self, items: Iterator[Any], path: str) -> Iterator[Any]:
        """The items up to the first failure of the iterator."""
        while True:
            try:
                item = next(items)
            except StopIteration:
                return
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # iterators of the user; a dict that another thread changes
                note(self.notes, path, "items_unreadable", type_name(error))
                return
            yield item

    def _share(self, left: int, count: int | None, done: int) -> int:
        """Bytes for the next member, 0 if there is no room for it."""
        if not self._cutting:
            if left <= 0:
                raise _DoesNotFit
            return left
        share = left if done + 1 == count else max(left // 2, min(left, LEAST_ROOM))
        return share if share >= LEAST_ROOM else 0

    def _rest(self, left: int, piece: bytes) -> int:
        left -= len(piece) + len(b",")
        if left < 0:
            raise _DoesNotFit
        return left

    def _left_out(self, count: int | None, done: int, path: str) -> None:
        note(self.notes, path, "items_left_out", "unknown" if count is None else count - done)

    def _name(self, key: object, room: int, taken: dict[str, int], path: str) -> str:
        """The key as text, distinct among its neighbours: `{1: a, "1": b}` keeps both."""
        text = key_text(key, room)
        if len(text) > room:
            if not self._cutting:
                raise _DoesNotFit
            text = text[:room]
        longest = max(room // 8, 8)
        if self._cutting and len(text) > longest:
            note(self.notes, child(path, text), "key", "cut")
            text = text[: longest - 1] + ELLIPSIS
        name = text
        while name in taken:
            taken[text] += 1
            name = f"{text} ({taken[text]})"
        if name != text:
            note(self.notes, child(path, name), "key", "renamed: taken")
        taken[name] = 1
        return name

    def _text(self, value: str, room: int, path: str) -> bytes:
        length = str.__len__(value)
        head, replaced = UNSAFE.subn(REPLACEMENT, str.__getitem__(value, slice(room)))
        data = orjson.dumps(head)
        if length > room or len(data) > room:
            data = self._cut(data, room)
            kept = len(orjson.loads(data)) - len(ELLIPSIS)
            replaced = len(UNSAFE.findall(str.__getitem__(value, slice(kept))))
            note(self.notes, path, "characters_cut", length - kept)
        if replaced:
            note(self.notes, path, "characters_replaced", replaced)
        return data

    def _cut(self, data: bytes, room: int) -> bytes:
        """A JSON string cut between characters, never inside an escape."""
        if not self._cutting:
            raise _DoesNotFit
        head = data[: room - len(CUT_END)].decode("utf-8", "ignore").encode()
        return PARTIAL_ESCAPE.sub(rb"\1", head) + CUT_END

    def _integer(self, value: int, room: int, path: str) -> bytes:
        if INT64_MIN <= value <= UINT64_MAX:
            return b"%d" % value
        note(self.notes, path, "replaced", "integer as text")
        bits = value.bit_length()
        return self._text(str(value) if bits <= MAX_DECIMAL_BITS else f"[integer of {bits} bits]", room, path)

    def _float(self, value: float, path: str) -> bytes:
        if math.isfinite(value):
            return orjson.dumps(value)
        note(self.notes, path, "replaced", str(value))
        return b"null"

    def _binary(self, value: bytes | bytearray | memoryview, room: int, path: str) -> bytes:
        """UTF-8 where it is text, else base64, of as many bytes as can be shown."""
        view = memoryview(value).cast("B")
        head = bytes(view[:room])
        text = readable(head)
        form = "text" if text is not None else "base64"
        if text is None:
            head = head[: max((room - len(CUT_END)) // 4 * 3, 0)]
            text = base64.b64encode(head).decode()
        note(self.notes, path, "bytes", view.nbytes)
        note(self.notes, path, "shown_as", form)
        if len(head) < view.nbytes:
            if not self._cutting:
                raise _DoesNotFit
            note(self.notes, path, "bytes_cut", view.nbytes - len(head))
        return self._text(text, room, path)

    def _marker(self, what: str, detail: str, path: str) -> bytes:
        note(self.notes, path, "replaced", f"{what}: {detail}")
        return orjson.dumps(f"[{what}]")


def readable(data: bytes) -> str | None:
    """The bytes as text if they are UTF-8 (perhaps cut inside a character) without control characters."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return None
    return None if CONTROLS.search(text) else text
