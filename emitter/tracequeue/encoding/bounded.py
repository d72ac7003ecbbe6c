"""The total path of the encoder: a walk that writes any Python value as JSON of at most so many bytes.

The work is bounded by the bytes allowed, not by the size of the value. A first attempt writes the value whole; if
it does not fit, a second one gives each member of a container half of what is left, so that one huge member does
not hide its neighbours.
"""

import math
from collections.abc import Iterator
from enum import Enum
from itertools import islice
from typing import Any, Final

import orjson

from tracequeue.encoding.binary import binary_text
from tracequeue.encoding.member_names import MAX_DECIMAL_BITS, MemberNames, key_text, shortened
from tracequeue.encoding.natural import Elements, Members, Unreadable, natural
from tracequeue.encoding.notes import Notes, child, merge, note
from tracequeue.encoding.plain import small_json
from tracequeue.encoding.text import ELLIPSIS, cleaned, cut_json_text, type_name

MAX_DEPTH: Final = 32
"""A level costs three Python frames of the 1,000 that CPython allows, and the bot has used some already."""
MOST_NESTED_VALUES: Final = 1_000
"""Containers and objects written one by one, at some 10 us each in the bot's thread; plain small ones do not count."""
CHUNK: Final = 64
"""Elements that are first tried together: long lists of small plain items are written at orjson's speed."""
LEAST_ELEMENT: Final = len(b"0,")
LEAST_MEMBER: Final = len(b'"":0,')
LEAST_ROOM: Final = 32
"""Every number, marker and cut string fits in this."""


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
        self._nested_values = 0

    def write(self, value: Any, room: int, path: str) -> bytes:
        """The value as JSON of at most `room` bytes (>= `LEAST_ROOM`)."""
        try:
            return self._scalar(value, room, path) or small_json(value, room) or self._nested(value, room, path)
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
        self._nested_values += 1
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
        self._expect(members.count, LEAST_MEMBER, room)
        pieces: list[bytes] = []
        left = room - len(b"{}") + len(b",")
        done = 0
        names = MemberNames()
        pairs = self._guarded(members.pairs, path)
        while chunk := list(islice(pairs, CHUNK)):
            together = names.small_json(chunk, left // 2) if members.count != len(chunk) else None
            if together:
                pieces.append(together[1:-1])
                left = self._rest(left, pieces[-1])
                done += len(chunk)
                continue
            for key, value in chunk:
                name = self._name(key, left, names, path)
                head = orjson.dumps(name) + b":"
                share = self._share(left - len(head) - len(b","), members.count, done)
                if not share:
                    self._left_out(members.count, done, path)
                    return b"{" + b",".join(pieces) + b"}"
                pieces.append(head + self.write(value, share, child(path, name)))
                left = self._rest(left, pieces[-1])
                done += 1
        return b"{" + b",".join(pieces) + b"}"

    def _elements(self, elements: Elements, room: int, path: str) -> bytes:
        self._expect(elements.count, LEAST_ELEMENT, room)
        pieces: list[bytes] = []
        left = room - len(b"[]") + len(b",")
        done = 0
        items = self._guarded(elements.items, path)
        while chunk := list(islice(items, CHUNK)):
            together = small_json(chunk, left // 2) if elements.count != len(chunk) else None
            if together:
                pieces.append(together[1:-1])
                left = self._rest(left, pieces[-1])
                done += len(chunk)
                continue
            for value in chunk:
                share = self._share(left - len(b","), elements.count, done)
                if not share:
                    self._left_out(elements.count, done, path)
                    return b"[" + b",".join(pieces) + b"]"
                pieces.append(self.write(value, share, f"{path}[{done}]"))
                left = self._rest(left, pieces[-1])
                done += 1
        return b"[" + b",".join(pieces) + b"]"

    def _expect(self, count: int | None, least: int, room: int) -> None:
        if not self._cutting and count is not None and count * least > room:
            raise _DoesNotFit

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
        exhausted = self._nested_values >= MOST_NESTED_VALUES
        if not self._cutting:
            if left <= 0 or exhausted:
                raise _DoesNotFit
            return left
        if exhausted:
            return 0
        share = left if done + 1 == count else max(left // 2, min(left, LEAST_ROOM))
        return share if share >= LEAST_ROOM else 0

    def _rest(self, left: int, piece: bytes) -> int:
        left -= len(piece) + len(b",")
        if left < 0:
            raise _DoesNotFit
        return left

    def _left_out(self, count: int | None, done: int, path: str) -> None:
        note(self.notes, path, "items_left_out", count - done if count is not None and count > done else "unknown")

    def _name(self, key: object, room: int, names: MemberNames, path: str) -> str:
        text = key_text(key, room)
        longest = max(room // 8, 8) if self._cutting else room
        wanted = shortened(text, longest)
        if wanted != text:
            if not self._cutting:
                raise _DoesNotFit
            note(self.notes, child(path, wanted), "key", "cut")
        name = names.distinct(wanted)
        if name != wanted:
            note(self.notes, child(path, name), "key", "renamed: taken")
        return name

    def _text(self, value: str, room: int, path: str) -> bytes:
        length = str.__len__(value)
        if length > room and not self._cutting:
            raise _DoesNotFit
        head, replaced = cleaned(str.__getitem__(value, slice(room)))
        data = orjson.dumps(head)
        if length > room or len(data) > room:
            if not self._cutting:
                raise _DoesNotFit
            data = cut_json_text(data, room)
            kept = len(orjson.loads(data)) - len(ELLIPSIS)
            replaced = cleaned(str.__getitem__(value, slice(kept)))[1]
            note(self.notes, path, "characters_cut", length - kept)
        if replaced:
            note(self.notes, path, "characters_replaced", replaced)
        return data

    def _integer(self, value: int, room: int, path: str) -> bytes:
        if -(2**63) <= value < 2**64:
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
        data = binary_text(value, room)
        note(self.notes, path, "bytes", data.size)
        note(self.notes, path, "shown_as", data.form)
        if data.shown < data.size:
            if not self._cutting:
                raise _DoesNotFit
            note(self.notes, path, "bytes_cut", data.size - data.shown)
        return self._text(data.text, room, path)

    def _marker(self, what: str, detail: str, path: str) -> bytes:
        note(self.notes, path, "replaced", f"{what}: {detail}")
        return orjson.dumps(f"[{what}]")
