"""The lines of an answer, as Telegram's HTML. Whatever comes from a trace stands in code: there it is no command, no
mention and no link, however it is written; and what looks like a secret is hidden, also where a producer did not."""

from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from typing import NamedTuple

from tracequeue_worker.dead_letters.hidden import without_secrets
from tracequeue_worker.printable import one_line, printable

MESSAGE_UNITS = 4096
"""UTF-16 code units of the visible text of one message, as Telegram counts."""


class Piece(NamedTuple):
    """Some words of a line, and the tag that they stand in."""

    text: str
    tag: str = ""

    @property
    def html(self) -> str:
        text = escape(self.text, quote=False)
        return f"<{self.tag}>{text}</{self.tag}>" if self.tag else text


class Line(NamedTuple):
    """One line; neighbours that are `mono` stand in one block."""

    pieces: tuple[Piece, ...]
    mono: bool = False

    @property
    def html(self) -> str:
        return "".join(piece.html for piece in self.pieces)

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


def line(*words: str | Piece) -> Line:
    """A line of our own words, and of pieces."""
    return Line(tuple(Piece(word) if isinstance(word, str) else word for word in words))


def mono(text: str) -> Line:
    """A line of a block in which all characters are as wide."""
    return Line((Piece(printable(without_secrets(text)).replace("\n", " ")),), mono=True)


def bold(text: str) -> Piece:
    """Our own words, set off."""
    return Piece(text, "b")


def code(value: object, longest: int = 120) -> Piece:
    """What somebody else wrote: on one line, at most so long, and nothing else than text."""
    text = without_secrets(one_line(value))
    return Piece(text if len(text) <= longest else f"{text[:longest]}…", "code")


def command(text: str) -> Piece:
    """A command of ours, which can be tapped."""
    return Piece(text)


def messages(lines: Iterable[Line]) -> list[str]:
    """HTML for as few messages as hold the lines. It is divided between lines; only one that is too long is cut."""
    made: list[list[Line]] = [[]]
    room = MESSAGE_UNITS
    for one in (part for whole in lines for part in _parts(whole)):
        needed = units(one.text) + 1
        if needed > room and made[-1]:
            made.append([])
            room = MESSAGE_UNITS
        made[-1].append(one)
        room -= needed
    return [_html(some) for some in made if some]


def units(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def _parts(one: Line) -> Iterator[Line]:
    if units(one.text) < MESSAGE_UNITS:
        yield one
        return
    width = MESSAGE_UNITS // 2 - 1  # in characters of two units each
    for start in range(0, len(one.text), width):
        yield Line((Piece(one.text[start : start + width], "" if one.mono else "code"),), one.mono)


def _html(lines: Iterable[Line]) -> str:
    blocks = groupby(lines, key=lambda one: one.mono)
    texts = [(is_mono, "\n".join(one.html for one in block)) for is_mono, block in blocks]
    return "\n".join(f"<pre>{text}</pre>" if is_mono else text for is_mono, text in texts)
