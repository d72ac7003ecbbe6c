"""Files of history as a source: frames come out as they went in, rows as frames of which every line is retried."""

import asyncio
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO, Final, Self
from uuid import UUID

from tracequeue_worker.bounds import Bounds
from tracequeue_worker.errors import Damaged
from tracequeue_worker.history.file_format import Header, names
from tracequeue_worker.history.frame_records import entry_of
from tracequeue_worker.history.reader import HistoryReader, Records
from tracequeue_worker.history.row_records import NOBODY, Producer, SpanRecord, TraceRecord, row_of
from tracequeue_worker.records import DAY, DecodedFrame
from tracequeue_worker.replay.bookkeeping import Bookkeeping
from tracequeue_worker.replay.selection import EVERYTHING
from tracequeue_worker.replay.source import NOWHERE, Content, Part, Taken

STDIN: Final = "-"
NO_EMITTER: Final = UUID(int=0)
_LEDGER_FIELDS: Final = {"frame": "frames", "settled": "settled", "conflict": "conflicts", "emitter": "emitters"}


class FileSource:
    """Each file is a part, known by the id in its first line: moved or copied it is the same, given twice it is read
    once. Positions are the offsets of blocks. What a ledger says comes last, and only beside all rows it speaks of.
    """

    def __init__(self, files: dict[UUID, tuple[Header, HistoryReader]], bounds: Bounds) -> None:
        self._files = dict(sorted(files.items(), key=lambda file: file[1][0].tracequeue == "ledger"))
        self._bounds = bounds
        self.name = _name(list(files))

    @classmethod
    def of(cls, paths: Sequence[Path], bounds: Bounds = EVERYTHING) -> Self:
        """Looks at the beginnings of the files; `-` is copied to its end first. Raises `Damaged`."""
        files: dict[UUID, tuple[Header, HistoryReader]] = {}
        for path in paths:
            reader = _standard_input() if str(path) == STDIN else HistoryReader(str(path), _opening(path))
            header = reader.header()
            files.setdefault(header.id, (header, reader))
        return cls(files, bounds)

    def without_bounds(self) -> Self:
        """The same files, all of them."""
        return type(self)(self._files, EVERYTHING)

    async def parts(self) -> list[Part]:
        """Raises `Damaged`."""
        return [Part(str(key), reader.size()) for key, (_, reader) in self._files.items() if self._is_read(key)]

    async def read(self, part: Part, after: str | None) -> AsyncIterator[Taken]:
        """What is behind the offset of a block. Raises `Damaged`, after all that is whole before it."""
        blocks = self._taken(UUID(part.key), int(after or 0))
        while (taken := await asyncio.to_thread(next, blocks, None)) is not None:
            for one in taken:
                yield one

    async def shortfalls(self) -> list[str]:
        """What was too long for a file, and ledgers that were not read."""
        sentences = [
            f"{reader.name} says of {one} that it was too long for a file, and is not in it"
            for _, reader in self._files.values()
            for one in reader.left_out
        ]
        for header, reader in self._files.values():
            if not self._bounds and (missing := self._missing(header)):
                sentences.append(
                    f"{reader.name} speaks of rows in other files of the same export, and not all of them are here, so "
                    f"it was not read: add {names(missing)}"
                )
        return sentences

    def _is_read(self, key: UUID) -> bool:
        """A ledger says of whole frames that all of them is stored: that must be so."""
        header, _ = self._files[key]
        return header.tracequeue != "ledger" or not (self._bounds or self._missing(header))

    def _missing(self, header: Header) -> list[UUID]:
        return [one for one in header.rows or [] if one not in self._files]

    def _taken(self, key: UUID, after: int) -> Iterator[list[Taken]]:
        header, reader = self._files[key]
        reached = after
        for records in reader.blocks(after):
            try:
                contents = self._contents(header, records)
            except Damaged as damage:
                raise reader.damaged(damage, records) from None
            if contents:
                last = Taken(contents.pop(), str(records.end), records.end - reached)
                yield [*(Taken(content, None, 0) for content in contents), last]
                reached = records.end

    def _contents(self, header: Header, records: Records) -> list[Content]:
        """What is wanted of a block. Raises `Damaged`."""
        if header.tracequeue == "frames":
            entries = map(entry_of, records.values)
            return [entry for entry in entries if self._bounds.holds(entry.id)]
        if header.tracequeue == "rows":
            rows = map(row_of, records.values)
            return list(_frames([row for row in rows if self._bounds.holds_time(row.start_time)]))
        return [_bookkeeping(records.values)] if records.values else []


def _frames(rows: Sequence[SpanRecord | TraceRecord]) -> Iterator[DecodedFrame]:
    """One frame for the rows of each producer and day. Of spans nothing says who sent them."""
    groups: defaultdict[tuple[Producer, int], list[SpanRecord | TraceRecord]] = defaultdict(list)
    for row in rows:
        producer = row.producer if isinstance(row, TraceRecord) else NOBODY
        groups[producer, row.start_time // DAY].append(row)
    for (producer, _), group in groups.items():
        yield _frame(producer, group)


def _frame(producer: Producer, rows: Sequence[SpanRecord | TraceRecord]) -> DecodedFrame:
    return DecodedFrame(
        entry=NOWHERE,
        emitter_id=UUID(producer.emitter_id) if producer.emitter_id else NO_EMITTER,
        seq=0,
        digest=b"",
        events=len(rows),
        anonymous=producer.emitter_id is None,
        spans=[row.row(line) for line, row in enumerate(rows) if isinstance(row, SpanRecord)],
        traces=[row.row(line) for line, row in enumerate(rows) if isinstance(row, TraceRecord)],
        meta={"service": producer.service, "environment": producer.environment, "release": producer.release},
        retry=frozenset(range(len(rows))),
        size=sum(row.size for row in rows),
    )


def _bookkeeping(records: Sequence[dict[str, Any]]) -> Bookkeeping:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in _LEDGER_FIELDS.values()}
    for record in records:
        ((kind, row),) = record.items() if len(record) == 1 else [("", None)]
        if kind not in _LEDGER_FIELDS or not isinstance(row, dict):
            raise Damaged("a line is no row of a ledger")
        found[_LEDGER_FIELDS[kind]].append(row)
    return Bookkeeping(**found)


def _name(ids: list[UUID]) -> str:
    """The same for the same files, in whatever order."""
    if len(ids) == 1:
        return f"file {ids[0]}"
    together = blake2b(b"".join(sorted(one.bytes for one in ids)), digest_size=6).hexdigest()
    return f"{len(ids)} files, together {together}"


def _opening(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _standard_input() -> HistoryReader:
    """A copy without a name: it is gone when this process is."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the reader
    copyfileobj(sys.stdin.buffer, copy)
    copy.flush()
    return HistoryReader("standard input", lambda: os.fdopen(os.dup(copy.fileno()), "rb"))
