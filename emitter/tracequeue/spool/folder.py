"""The folder of the spool, shared by processes: makes segments, finds those of dead processes, holds the bound."""

import errno
import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from time import monotonic, time_ns
from zlib import crc32

from tracequeue.spool import segment as segments
from tracequeue.spool.segment import Segment

logger = logging.getLogger("tracequeue")

SEGMENT_BYTES = 4 * 1024 * 1024
MEASURE_SECONDS = 1.0
"""How often the files are counted; in between other processes may go beyond the bound by what they write."""


class Folder:
    """The segments of one key prefix. Several prefixes may share a folder; each has the bound for itself."""

    def __init__(self, path: Path, prefix: str, bound: int) -> None:
        self.path = path
        self.segment_bytes = min(SEGMENT_BYTES, bound // 4)
        self._bound = bound
        self._mark = f"{re.sub('[^A-Za-z0-9_-]', '_', prefix)[:40]}-{crc32(prefix.encode()):08x}-"
        self._open: set[Segment] = set()
        self._left: set[str] = set()
        self._used = 0
        self._measured_at = 0.0
        self._refusing = False

    def create(self) -> Segment:
        """Raises `OSError`."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        segment = segments.create(self.path / f"{self._mark}{time_ns():020d}-{token_hex(4)}.spool")
        self._open.add(segment)
        self._sync_names()
        return segment

    def adopt(self) -> Segment | None:
        """The oldest segment that nobody holds, or None."""
        for name in self._names():
            if name in self._left:
                continue
            try:
                segment = segments.adopt(self.path / name)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._left.add(name)
                logger.warning("tracequeue cannot send %s (%s); it stays where it is", self.path / name, error)
                continue
            if segment is not None:
                self._open.add(segment)
                return segment
        return None

    def reserve(self, size: int) -> None:
        """Raises `OSError` where the bound would be broken."""
        if monotonic() - self._measured_at >= MEASURE_SECONDS:
            self._used = self._measure()
            self._measured_at = monotonic()
        if self._used + size > self._bound:
            raise OSError(errno.EDQUOT, f"the bound of {self._bound} bytes is reached (TRACEQUEUE_SPOOL_BYTES)")
        self._used += size

    def forget(self, segment: Segment) -> None:
        """The segment is removed or closed."""
        self._open.discard(segment)
        self._measured_at = 0.0

    def note(self, error: OSError | None) -> None:
        """Say once that the disk takes no frames, and once that it does again."""
        if error is not None and not self._refusing:
            logger.warning(
                "tracequeue: the spool %s takes no frames (%s); they wait in the buffer, and are counted as dropped "
                "where that is full; give it room and rights",
                self.path,
                error.strerror or error,
            )
        elif error is None and self._refusing:
            logger.warning("tracequeue: the spool %s takes frames again", self.path)
        self._refusing = error is not None

    def let_go(self) -> None:
        """Leave all to others: at the end, and in the child of a fork, where the parent's locks must not live on."""
        while self._open:
            with suppress(OSError):
                self._open.pop().close()

    def _names(self) -> list[str]:
        """Of all processes' segments, oldest first."""
        try:
            names = os.listdir(self.path)  # noqa: PTH208 - a name is all that is needed of thousands
        except OSError:
            return []
        return sorted(name for name in names if name.startswith(self._mark) and name.endswith(".spool"))

    def _measure(self) -> int:
        used = 0
        for name in self._names():
            with suppress(OSError):
                used += (self.path / name).stat().st_size
        return used

    def _sync_names(self) -> None:
        """A new name survives a power cut only where the folder is brought to the disk too."""
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
