"""Reads a file of history, trusting nothing in it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO, Final

from tracequeue_worker.errors import Damaged, OtherFile
from tracequeue_worker.history.blocks import Block, read_block
from tracequeue_worker.history.file_format import LEFT_OUT, Header, Trailer, read_object

CURE: Final = "take a whole copy of this file and run the same command again"
NOT_OPENED: Final = "name files that can be read, such as --file FOLDER/*.zst"
NOT_ENDED: Final = "it has no last line, so it was cut short, or, where it is a .partial file, not finished yet"

_END: Final = b'"end"'
_LEFT_OUT: Final = LEFT_OUT.encode()


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a block, as they are once its checksum held. `end` is where the next block begins."""

    values: list[dict[str, Any]]
    start: int
    end: int


class HistoryReader:
    """`name` is what people call the file, `open_file` opens it anew. Closes what it opens."""

    def __init__(self, name: str, open_file: Callable[[], BinaryIO]) -> None:
        self.name = name
        self.left_out: list[str] = []
        """What was too long for the file, of the blocks that were read."""
        self._open = open_file

    def header(self) -> Header:
        """Raises `Damaged`, also where the file cannot be opened."""
        with self._reading() as file:
            return _header(_first(file))

    def size(self) -> int:
        """Bytes of the file. Raises `Damaged`."""
        with self._reading() as file:
            return file.seek(0, 2)

    def blocks(self, after: int = 0) -> Iterator[Records]:
        """The records behind an offset, one block at a time. What is before it is looked at too, so that the digest of
        the whole file is known to hold at the end. Raises `Damaged`, and no record of the block was handed out then.
        """
        with self._reading() as file:
            first = _first(file)
            _header(first)
            block: Block | None = first
            counted, self.left_out = Counted(), []
            while block:
                lines = counted.add(block)
                if block.start < after < block.end:
                    raise Damaged(f"no block begins at byte {after}, where it was read up to: this is another file")
                if block.start >= after:
                    yield Records(self._without_left_out(lines), block.start, block.end)
                elif _LEFT_OUT in block.content:
                    self._without_left_out(lines)
                block = read_block(file, block.end)
            if not counted.ended:
                raise Damaged(NOT_ENDED)

    def _without_left_out(self, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        """The records of lines. Raises `Damaged`."""
        values = list(map(read_object, lines))
        self.left_out += [str(value[LEFT_OUT])[:200] for value in values if LEFT_OUT in value]
        return [value for value in values if LEFT_OUT not in value]

    def damaged(self, damage: Damaged, records: Records) -> Damaged:
        """What to raise where a block is as it was written, and yet not as the format has it."""
        return Damaged(
            f"{self.name}: in the block at byte {records.start}: {damage}: the program that wrote this file does not "
            "keep to docs/files.md; what is before this can be used"
        )

    @contextmanager
    def _reading(self) -> Iterator[BinaryIO]:
        try:
            with self._open() as file:
                yield file
        except OtherFile as error:
            raise OtherFile(f"{self.name}: {error}") from None
        except Damaged as damage:
            raise Damaged(f"{self.name}: {damage}: {CURE}") from None
        except OSError as error:
            raise Damaged(f"{self.name}: {error.strerror or error}: {NOT_OPENED}") from None


class Counted:
    """What was read of a file, to compare with its last line."""

    def __init__(self) -> None:
        self.records = -1
        """The first line is none."""
        self.ended = False
        self._digest = sha256()

    def add(self, block: Block) -> list[bytes]:
        """The lines of a block that are records. Raises `Damaged`."""
        if self.ended:
            raise Damaged(f"something follows its last line, at byte {block.start}")
        lines = block.lines
        if _END in lines[-1] and "end" in (last := read_object(lines[-1])):
            lines.pop()
            self._end(Trailer.read(last), block.content, len(lines))
        else:
            self._digest.update(block.content)
            self.records += len(lines)
        return lines[1:] if block.start == 0 else lines

    def _end(self, trailer: Trailer, content: bytes, records: int) -> None:
        """The digest is of everything before the last line."""
        self._digest.update(content[: content.rfind(b"\n", 0, -1) + 1])
        self.records += records
        if (self.records, self._digest.hexdigest()) != (trailer.records, trailer.sha256):
            raise Damaged(
                f"its last line speaks of {trailer.records} records with another digest: blocks were taken out, put in "
                "or exchanged"
            )
        self.ended = True


def _header(block: Block) -> Header:
    return Header.read(block.lines[0])


def _first(file: BinaryIO) -> Block:
    try:
        block = read_block(file, 0)
    except Damaged as damage:
        raise Damaged(
            f"{damage}, so it is damaged from its beginning, decompressed, or no file of tracequeue's"
        ) from None
    if block is None:
        raise Damaged("it is empty")
    return block
