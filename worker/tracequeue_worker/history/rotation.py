"""Records into files, one after another: when one is large enough it is finished, and the next is begun."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tracequeue_worker.errors import Fatal
from tracequeue_worker.history.file_format import Header, Kind
from tracequeue_worker.history.writer import HistoryWriter


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A finished file."""

    path: Path
    kind: Kind
    id: UUID
    records: int
    events: int
    size: int
    """In bytes."""


class Rotation:
    """Writes into a folder. `most_bytes` is how large a file may grow, compressed; `files` are those that are finished.

    Raises `Fatal` with the cure where the folder takes nothing.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.files: list[WrittenFile] = []
        self.records = 0
        self._folder = folder
        self._most_bytes = most_bytes
        self._writer: HistoryWriter | None = None

    @property
    def size(self) -> int:
        """Bytes on the disk, the file that is being written included."""
        return sum(file.size for file in self.files) + (self._writer.size if self._writer else 0)

    def add(self, header: Callable[[], Header], line: bytes, *, events: int, at: int) -> None:
        """Add a record, to a new file with this header where none is being written. `at` is its time in microseconds
        since the epoch."""
        try:
            if self._writer is None:
                self._writer = HistoryWriter.create(self._folder, header(), at)
            self._writer.append(line, events=events, at=at)
        except OSError as error:
            raise self._refused(error) from error
        self.records += 1
        if self._writer.size >= self._most_bytes:
            self.finish()

    def finish(self) -> None:
        """End the file that is being written, if there is one."""
        writer = self._writer
        if writer is None:
            return
        try:
            path = writer.finish()
        except OSError as error:
            raise self._refused(error) from error
        self._writer = None
        totals, header = writer.totals, writer.header
        self.files.append(WrittenFile(path, header.tracequeue, header.id, totals.records, totals.events, writer.size))

    def discard(self) -> None:
        """Remove what is not finished."""
        writer, self._writer = self._writer, None
        if writer:
            writer.discard()

    def _refused(self, error: OSError) -> Fatal:
        cure = "name a folder" if isinstance(error, FileExistsError | NotADirectoryError) else "give it room and rights"
        return Fatal(f"{self._folder} takes no more files: {error.strerror or error}: {cure}")
