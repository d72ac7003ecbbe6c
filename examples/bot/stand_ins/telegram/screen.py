"""What a person sees of the conversation, on a terminal or in a pipe."""

import asyncio
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final, TextIO

from examples.bot.stand_ins.telegram.visitor import Visitor

REDRAW: Final = "\x1b[{lines}F\x1b[J"
"""Go up so many lines, and clear from there."""


class Screen:
    """Writes the bot's messages as they come and change.

    On a terminal an edit of the message that was written last takes its place; everywhere else it is written
    again, marked as an edit.
    """

    def __init__(self, visitor: Visitor, out: TextIO) -> None:
        self._visitor = visitor
        self._out = out
        self._last: tuple[int, int] | None = None
        """The message that was written last, and over how many lines; None when something else came after it."""
        self._folder: Path | None = None
        self._changed = asyncio.Event()
        self.heard = 0
        """How often the bot did something that is to be seen."""
        self.buttons_of: int | None = None
        """The message whose buttons the numbers mean: the one that showed some last."""
        self.caught_up = asyncio.Event()
        """Set when all that was said before is written."""

    async def listen(self) -> None:
        """Write what there is, and then what comes, for ever."""
        revision = 0
        while True:
            revision, messages = await self._visitor.news(revision, wait=self.caught_up.is_set())
            for message in messages:
                # What the person says is on the screen already, but for what was said before.
                if message["from_bot"] or not self.caught_up.is_set():
                    await self._show(message)
            self.caught_up.set()

    async def changes(self, timeout: float) -> bool:
        """Whether anything is written within so many seconds."""
        self._changed.clear()
        try:
            async with asyncio.timeout(max(timeout, 0)):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def typed(self, line: str, *, echo: bool) -> None:
        """The person entered a line: what stands above it is not redrawn any more."""
        self._last = None
        if echo:
            self._write(f"> {line}\n")

    def answered(self, text: str | None) -> None:
        """The bot answered a button."""
        self._bot_did_something()
        if text:
            self.note(text)

    def note(self, text: str) -> None:
        """Something beside the messages."""
        self._last = None
        self._write(f"* {printable(text)}\n")

    async def _show(self, message: dict[str, Any]) -> None:
        number = message["message_id"]
        text = drawn(message, await self._saved(message))
        again = self._last is not None and self._last[0] == number
        if again and self._last is not None and self._out.isatty():
            self._write(REDRAW.format(lines=self._last[1]))
        self._write(text)
        self._last = number, lines_of(text)
        if message["buttons"]:
            self.buttons_of = number
        elif self.buttons_of == number:
            self.buttons_of = None
        if message["from_bot"]:
            self._bot_did_something()

    async def _saved(self, message: dict[str, Any]) -> Path | None:
        """Where the document of a message is now."""
        if not message["document"]:
            return None
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="talk-"))
        path = self._folder / f"{message['message_id']}-{Path(message['document']).name}"
        path.write_bytes(await self._visitor.document(message["message_id"]))
        return path

    def _bot_did_something(self) -> None:
        self.heard += 1
        self._changed.set()

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def drawn(message: dict[str, Any], document: Path | None) -> str:
    """A message: its number, who says it, its text, its document, and its buttons with their numbers."""
    edited = " (edited)" if message["edits"] else ""
    lines = [f"[{message['message_id']}] {message['from']}{edited}: {printable(message['text'])}"]
    if document is not None:
        lines.append(f"    saved: {document}")
    if message["buttons"]:
        numbered = enumerate(message["buttons"], start=1)
        lines.append("    " + "   ".join(f"{number}) {printable(label)}" for number, label in numbered))
    return "\n".join(lines) + "\n"


def lines_of(text: str) -> int:
    """Over how many lines of the terminal the text goes."""
    columns = shutil.get_terminal_size().columns
    return sum(max(1, math.ceil(len(line) / columns)) for line in text.splitlines())


def printable(text: str) -> str:
    """Without what would command the terminal."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)
