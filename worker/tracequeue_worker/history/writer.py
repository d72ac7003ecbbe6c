"""Writes a file of history: whole blocks only, under a name of its own until the file is complete."""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from tracequeue_worker.history.blocks import BLOCK_BYTES, compressed
from tracequeue_worker.history.file_format import PARTIAL, Header
from tracequeue_worker.history.totals import Totals


class HistoryWriter:
    """A `.partial` file under a lock, which goes with this process. Not for several threads at once.

    `append` puts a record into memory, and about every mebibyte into the file; `sync` brings all of it to the disk.
    Whatever raises `OSError` may be called again when there is room: what is in the file ends with a whole block, and
    nothing that was appended is forgotten.
    """

    def __init__(self, path: Path, fd: int, header: Header, totals: Totals, size: int) -> None:
        self.path = path
        """Where it will be when it is finished."""
        self.header = header
        self.totals = totals
        self._fd = fd
        self._size = size
        self._unsynced = True
        self._lines: list[bytes] = []
        self._buffered = 0

    @classmethod
    def create(cls, folder: Path, header: Header, first: int) -> Self:
        """`first` is when the first record is of, in microseconds since the epoch. Raises `OSError`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / header.file_name(first)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(partial(path), flags, 0o600)
        writer = cls(path, fd, header, Totals(), 0)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            writer._write_block(header.line())
            sync_folder(folder)
        except OSError:
            writer.discard()
            raise
        return writer

    @property
    def size(self) -> int:
        """Bytes in the file, compressed; what is in memory comes on top."""
        return self._size

    def is_in_place(self) -> bool:
        """Whether the unfinished file still has its name: what is written to one that was removed is gone with it."""
        try:
            return partial(self.path).stat().st_ino == os.fstat(self._fd).st_ino
        except FileNotFoundError:
            return False

    def append(self, line: bytes, *, events: int, at: int | None) -> None:
        """Add a record: a line of JSON. `at` is its time in microseconds since the epoch.

        Raises `OSError`; then the record is not added."""
        if self._buffered >= BLOCK_BYTES:
            self.flush()
        self._lines.append(line)
        self._buffered += len(line)
        self.totals.count(events, at)

    def flush(self) -> None:
        """Hand all records to the operating system. Raises `OSError`."""
        if self._lines:
            self._write_block(b"".join(self._lines))
            self._lines.clear()
            self._buffered = 0

    def sync(self) -> None:
        """Bring all records to the disk itself: from now on no power cut takes them. Raises `OSError`."""
        self.flush()
        if self._unsynced:
            os.fsync(self._fd)
            self._unsynced = False

    def finish(self) -> Path:
        """End the file, and give it its name. Raises `OSError`; then it may be called again."""
        self.flush()
        if not self.totals.ended:
            self._write_block(self.totals.trailer().line())
            self.totals.ended = True
        self.sync()
        partial(self.path).rename(self.path)
        sync_folder(self.path.parent)
        self.close()
        return self.path

    def discard(self) -> None:
        """Remove the unfinished file."""
        with suppress(OSError):
            partial(self.path).unlink()
        self.close()

    def close(self) -> None:
        """Let the lock go. An unfinished file stays, and can be recovered."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _write_block(self, content: bytes) -> None:
        block = compressed(content)
        try:
            if os.pwrite(self._fd, block, self._size) < len(block):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(partial(self.path)))
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(block)
        self._unsynced = True
        self.totals.digest.update(content)


def partial(path: Path) -> Path:
    """The name of a file until it is finished."""
    return path.with_name(path.name + PARTIAL)


def sync_folder(folder: Path) -> None:
    """A new name survives a power cut only where the folder is brought to the disk too. Raises `OSError`."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
