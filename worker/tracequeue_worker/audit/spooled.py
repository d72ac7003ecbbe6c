"""The frames in a spool folder, read without touching it: bots may be writing and sending meanwhile."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tracequeue.spool.records import FILE_HEAD, next_record
from tracequeue_worker.audit.waiting import WaitingFrame
from tracequeue_worker.errors import Unreachable


def spooled_frames(folder: Path, partitions: Mapping[bytes, int]) -> Iterator[WaitingFrame]:
    """Frames for these streams (key -> partition), also those that Redis holds already. Raises `Unreachable`."""
    try:
        paths = sorted(folder.glob("*.spool"))
        if not folder.is_dir():
            raise FileNotFoundError("there is no such folder")
        for path in paths:
            yield from _of_segment(path, partitions)
    except OSError as error:
        raise Unreachable(f"the spool {folder} cannot be read: {error.strerror or error}: check --spool") from None


def _of_segment(path: Path, partitions: Mapping[bytes, int]) -> Iterator[WaitingFrame]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:  # sent meanwhile
        return
    try:
        if os.pread(fd, len(FILE_HEAD), 0) != FILE_HEAD:
            return
        place = len(FILE_HEAD)
        while found := next_record(fd, place):
            place, frame = found.end, found.frame
            if frame.key.encode() in partitions:
                yield WaitingFrame("disk", partitions[frame.key.encode()], frame.fields, 0)
    finally:
        os.close(fd)
