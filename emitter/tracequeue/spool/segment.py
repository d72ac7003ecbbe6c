"""One file of the spool. Its lock says that somebody alive takes care of it: whoever gets the lock may send it."""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from time import time

from tracequeue.spool.records import FILE_HEAD, Found, next_record

EMPTY_SECONDS = 60.0
"""How old a file without a frame must be before another process removes it: its maker may be about to write."""


class Segment:
    """An open, locked file of records. Closing it, or the end of the process, lets the lock go.

    `position` is the end of what Redis has accepted, `size` the end of what is written. `events` and `first` are of
    a segment that this process wrote: what it holds, and the number of its first event in the lane.
    """

    def __init__(self, path: Path, fd: int, size: int) -> None:
        self.path = path
        self.fd = fd
        self.size = size
        self.position = len(FILE_HEAD)
        self.events = 0
        self.first = 0
        self.skipped = 0
        self.unsynced = False

    def append(self, record: bytes) -> None:
        """Write all of it, or nothing that counts. Raises `OSError`."""
        try:
            if os.pwrite(self.fd, record, self.size) < len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                os.ftruncate(self.fd, self.size)
            raise
        self.size += len(record)
        self.unsynced = True

    def read(self, offset: int) -> Found | None:
        """The next record from an offset on. Raises `OSError`."""
        return next_record(self.fd, offset)

    def sync(self) -> None:
        """Bring what is written to the disk itself. Raises `OSError`."""
        if self.unsynced:
            os.fsync(self.fd)
            self.unsynced = False

    @property
    def reachable(self) -> bool:
        """Whether the file is still in a folder: of a deleted one only this process knows."""
        return os.fstat(self.fd).st_nlink > 0

    def close(self) -> None:
        """Let the lock go. The number of a closed descriptor may soon be that of another file: it is forgotten."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def remove(self) -> None:
        """All of it is sent. The name goes before the lock does."""
        with suppress(OSError):
            self.path.unlink()
        self.close()

    def set_aside(self) -> None:
        """It cannot be read: keep it under a name that no process looks for."""
        with suppress(OSError):
            self.path.rename(self.path.with_suffix(".unreadable"))
        self.close()


def create(path: Path) -> Segment:
    """A new segment, locked before anything is in it. Raises `OSError`."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    segment = Segment(path, fd, 0)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        segment.append(FILE_HEAD)
    except OSError:
        segment.remove()
        raise
    return segment


def adopt(path: Path) -> Segment | None:
    """A segment that nobody holds any more. None where somebody does, or where it is none of ours. Raises `OSError`."""
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if _ours(os.fstat(fd)) and _locked(fd) and os.fstat(fd).st_nlink:
            if os.pread(fd, len(FILE_HEAD), 0) == FILE_HEAD:
                return Segment(path, fd, os.fstat(fd).st_size)
            if os.fstat(fd).st_size:
                raise OSError("no file of this version's spool")
            path.unlink()
    except OSError:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _ours(status: os.stat_result) -> bool:
    written = status.st_size > 0 or time() - status.st_mtime > EMPTY_SECONDS
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and written


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
