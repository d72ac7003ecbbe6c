"""The folder of the archive: one file at a time is written by this process; what dead processes left is finished.

Its functions block on the disk, and are for one thread at a time.
"""

import errno
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tracequeue_worker.errors import Fatal
from tracequeue_worker.history.file_format import Header
from tracequeue_worker.history.frame_records import frame_line, moment_of
from tracequeue_worker.history.recovery import recover, unfinished
from tracequeue_worker.history.writer import HistoryWriter, partial
from tracequeue_worker.records import Entry

FILE_BYTES: Final = 256 * 1024 * 1024
"""Compressed. A file that is larger is finished, and another one begun."""
FILE_SECONDS: Final = 3_600.0
"""An older file is finished too, so that the history on disk is whole soon."""
CURES: Final = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there, or raise the quota",
    errno.EFBIG: "raise the limit for files of this process (ulimit -f)",
    errno.EACCES: "give the worker's user rights on it",
    errno.EPERM: "give the worker's user rights on it",
    errno.EROFS: "mount it writable",
    errno.ENOTDIR: "make it a folder",
    errno.EEXIST: "make it a folder",
}

log = logging.getLogger(__name__)


class ArchiveFolder:
    """Raises `Fatal` with the cure where the disk takes nothing; then each function may be called again."""

    def __init__(self, path: Path, streams: Sequence[bytes]) -> None:
        self.abandoned = False
        """Whether a file was left after a failure, which `recover` finishes."""
        self._path = path
        self._streams = [stream.decode() for stream in streams]
        self._writer: HistoryWriter | None = None
        self._begun_at = 0.0

    def store(self, entries: Sequence[Entry]) -> None:
        """Bring frames to the disk: from now on no power cut takes them. After a failure some are there twice."""
        fresh = False
        try:
            self._check_name()
            fresh = self._writer is None
            writer = self._writer or self._begin(entries[0])
            for entry in entries:
                record = frame_line(entry)
                writer.append(record.line, events=record.events, at=record.at)
            writer.sync()
            if not writer.is_in_place():
                raise FileNotFoundError(errno.ENOENT, "a file was removed while it was written")
        except OSError as error:
            self._abandon(of_use=not fresh)
            raise self._refused(error) from error

    @property
    def due(self) -> bool:
        """Whether the file is large or old enough to be finished."""
        writer = self._writer
        return writer is not None and (writer.size >= FILE_BYTES or time.monotonic() - self._begun_at >= FILE_SECONDS)

    def finish(self) -> None:
        """End the file, if there is one, and give it its name."""
        try:
            self._check_name()
            if self._writer:
                log.info("archived: %s", self._writer.finish())
                self._writer = None
        except OSError as error:
            self._abandon(of_use=True)
            raise self._refused(error) from error

    def recover(self) -> None:
        """Finish what processes that died left unfinished. Where that fails, the files stay for the next time."""
        self.abandoned = False
        try:
            for path in unfinished(self._path):
                if writer := recover(path):
                    self._end(writer)
        except OSError as error:
            log.warning("an unfinished file of the archive stays for now: %s", error)

    def _begin(self, first: Entry) -> HistoryWriter:
        header = Header(tracequeue="frames", source=self._streams)
        self._writer = HistoryWriter.create(self._path, header, moment_of(first.id))
        self._begun_at = time.monotonic()
        return self._writer

    def _end(self, writer: HistoryWriter) -> None:
        try:
            log.info("archived: %s, which had been left unfinished", writer.finish())
        finally:
            writer.close()

    def _check_name(self) -> None:
        """Leave a file that somebody removed."""
        if self._writer and not self._writer.is_in_place():
            log.error("%s was removed while it was written, with the frames in it", partial(self._writer.path))
            self._abandon(of_use=True)

    def _abandon(self, *, of_use: bool) -> None:
        """Leave the file as it is on the disk: after a failure nobody knows what the system still holds of it."""
        writer, self._writer = self._writer, None
        if writer:
            (writer.close if of_use else writer.discard)()
            self.abandoned = self.abandoned or of_use

    def _refused(self, error: OSError) -> Fatal:
        said = error.strerror or str(error)
        cure = CURES.get(error.errno or 0, "look at this disk")
        return Fatal(
            f"the archive {self._path} takes no frames: {said}: {cure}; until then nothing more is trimmed from Redis, "
            "and nothing is lost"
        )
