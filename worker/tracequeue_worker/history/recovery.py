"""Takes over the unfinished file of a writer that died: what it had written whole is kept, and can be finished."""

import fcntl
import logging
import mmap
import os
from contextlib import suppress
from pathlib import Path
from shutil import copyfile
from time import time
from typing import Final

from tracequeue_worker.errors import Damaged
from tracequeue_worker.history.blocks import MAGIC, read_block
from tracequeue_worker.history.file_format import PARTIAL, SUFFIX, Header, Trailer, read_object
from tracequeue_worker.history.frame_records import measure
from tracequeue_worker.history.totals import Totals
from tracequeue_worker.history.writer import HistoryWriter

UNREADABLE: Final = ".unreadable"
EMPTY_SECONDS: Final = 60.0

log = logging.getLogger(__name__)


def unfinished(folder: Path) -> list[Path]:
    """The unfinished files of frames in a folder, oldest first, whoever writes them. Raises `OSError`."""
    return sorted(folder.glob(f"frames-*{SUFFIX}{PARTIAL}"))


def recover(path: Path) -> HistoryWriter | None:
    """Go on with an unfinished file of frames, cut to its last whole block. None where its writer is alive, and where
    nothing was in it: then it is removed. One that cannot be read at all is set aside. Raises `OSError`."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        writer = _recovered(path, fd) if _locked(fd, path) else None
    except BaseException:
        os.close(fd)
        raise
    if writer is None:
        os.close(fd)
    return writer


def _locked(fd: int, path: Path) -> bool:
    """Whether the lock is ours, and the file still there: its writer may have finished it meanwhile."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(fd).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


def _recovered(path: Path, fd: int) -> HistoryWriter | None:
    totals, size, header = Totals(), 0, None
    with suppress(Damaged), os.fdopen(os.dup(fd), "rb") as file:
        while block := read_block(file, size):
            lines = block.lines
            if header is None:
                header = Header.read(lines.pop(0))
            _count(lines, totals)
            if not totals.ended:
                totals.digest.update(block.content)
            size = block.end
    if header is None or size == 0 or header.tracequeue != "frames":
        _set_aside(path, os.fstat(fd))
        return None
    _keep_what_is_damaged(path, fd, size)
    os.ftruncate(fd, size)
    return HistoryWriter(path.with_name(path.name.removesuffix(PARTIAL)), fd, header, totals, size)


def _count(lines: list[bytes], totals: Totals) -> None:
    """All of a block, or nothing. A crash may have left the last line before the file was renamed. Raises `Damaged`."""
    records = list(map(read_object, lines))
    if records and "end" in records[-1]:
        Trailer.read(records.pop())
        totals.ended = True
    for events, at in list(map(measure, records)):
        totals.count(events, at)


def _keep_what_is_damaged(path: Path, fd: int, size: int) -> None:
    """A crash tears the end of a file. Where another block begins behind, it was more: frames that are settled may be
    there, and nowhere else. Raises `OSError`."""
    if os.fstat(fd).st_size == size:
        return
    with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as content:
        is_torn = content.find(MAGIC, size + 1) < 0
    if not is_torn:
        kept = path.with_suffix(UNREADABLE)
        copyfile(path, kept)
        log.error(
            "%s is damaged at byte %d: its frames from there on are in no file of the archive but %s", path, size, kept
        )


def _set_aside(path: Path, status: os.stat_result) -> None:
    """Nothing of it can be read. An empty one may be about to be written, by a process that has no lock on it yet."""
    if status.st_size:
        kept = path.rename(path.with_suffix(UNREADABLE))
        log.error("%s cannot be read, and was set aside as %s", path, kept)
    elif time() - status.st_mtime > EMPTY_SECONDS:
        path.unlink()
