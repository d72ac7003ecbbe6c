"""One file of a spool, read by somebody who does not hold its lock: it may grow, and it may vanish."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from zlib import crc32

from tracequeue.spool.records import CHECKSUM, DAMAGED, FILE_HEAD, HEAD, MARK, Found, next_record


class Segment:
    """A segment up to the size that it had when it was seen first.

    After it was read, `troubles` says in sentences what is damaged, and `keys` how many frames there are for each
    stream.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self.troubles: list[str] = []
        self.keys: Counter[str] = Counter()
        self._read = False

    @classmethod
    def seen(cls, path: Path) -> Self | None:
        """None where it has vanished, and was sent."""
        try:
            return cls(path, path.stat().st_size)
        except FileNotFoundError:
            return None

    def read_through(self) -> None:
        """Look at all of it, if nobody did."""
        if not self._read:
            for _ in self.records():
                pass

    def records(self) -> Iterator[Found]:
        """Every record, also those with a damaged body; none where it has vanished."""
        self._read, self.troubles, self.keys = False, [], Counter()
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                yield from self._records(fd)
            finally:
                os.close(fd)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._complain(f"cannot be read: {error.strerror or error}")
        self._read = True

    def _records(self, fd: int) -> Iterator[Found]:
        head = os.pread(fd, len(FILE_HEAD), 0)
        if head != FILE_HEAD:
            if not FILE_HEAD.startswith(head):
                self._complain("is no spool of this version of tracequeue")
            return
        place, lost = len(head), 0
        damaged: list[Found] = []
        while (found := next_record(fd, place)) and found.end <= self.size:
            lost += found.start - place
            place = found.end
            self.keys[found.frame.key] += 1
            if found.frame.fields.get(b"enc") == DAMAGED:
                damaged.append(found)
            yield found
        if found is None and not _is_half_written(fd, place):
            lost += self.size - place
        self._sum_up(damaged, lost)

    def _sum_up(self, damaged: list[Found], lost: int) -> None:
        if damaged:
            first = damaged[0].frame
            events = sum(one.frame.events for one in damaged)
            self._complain(
                f"{len(damaged)} of its frames cannot be read ({events} events), the first is number {first.seq} of "
                f"emitter {first.fields[b'src'].decode()}"
            )
        if lost > 0:
            self._complain(f"{lost} bytes are damaged, and nobody can say which frames they were")

    def _complain(self, trouble: str) -> None:
        self.troubles.append(f"{self.path}: {trouble}")


def _is_half_written(fd: int, place: int) -> bool:
    """Whether the file ends here, or in a record that is whole as far as it goes: somebody is about to write it, or
    died over it, and it never counted."""
    head = os.pread(fd, HEAD.size, place)
    if len(head) < HEAD.size:
        return MARK.startswith(head[: len(MARK)])
    if not head.startswith(MARK):
        return False
    key_length = HEAD.unpack(head)[4]
    rest = os.pread(fd, key_length + CHECKSUM.size, place + HEAD.size)
    return len(rest) < key_length + CHECKSUM.size or rest[key_length:] == CHECKSUM.pack(crc32(head + rest[:key_length]))
