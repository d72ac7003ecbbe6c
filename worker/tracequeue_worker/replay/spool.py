"""A spool folder as a source, only looked at: bots may be writing there and sending from there meanwhile."""

import logging
import platform
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from tracequeue.errors import SettingsError
from tracequeue_worker.bounds import Bounds
from tracequeue_worker.errors import Unreachable
from tracequeue_worker.records import Entry
from tracequeue_worker.replay.selection import EVERYTHING
from tracequeue_worker.replay.source import Part, Taken
from tracequeue_worker.replay.spool_segment import Segment
from tracequeue_worker.streams import Membership

MADE_AT: Final = re.compile(r"-(\d{20})-[0-9a-f]+\.spool")
"""When a segment was made, in nanoseconds."""

log = logging.getLogger(__name__)


class SpoolSource:
    """The frames for the streams of this deployment. A segment is a part; one that vanishes was sent, and is in Redis.

    A frame with a damaged body comes as the emitter would send it: refused, and with its number. Raises
    `SettingsError` where bounds are given: on disk nothing says when a frame was sent.
    """

    def __init__(self, folder: Path, membership: Membership, bounds: Bounds = EVERYTHING) -> None:
        if bounds:
            raise SettingsError(
                "--since and --until cannot be used with --spool: frames on disk have no entry ids yet; leave them out"
            )
        self.name = f"spool {folder.resolve()} on {platform.node()} for {membership.prefix}"
        self._folder = folder
        self._membership = membership
        self._segments: dict[str, Segment] = {}
        """By the name of the file, as they were when the replay began."""
        self._looked = False

    async def parts(self) -> list[Part]:
        """Raises `Unreachable`."""
        if not self._looked:
            seen = (Segment.seen(path) for path in self._paths("*.spool"))
            self._segments = {segment.path.name: segment for segment in seen if segment}
            self._looked = True
        return [Part(name, segment.size) for name, segment in self._segments.items()]

    async def read(self, part: Part, after: str | None) -> AsyncIterator[Taken]:
        """The frames that begin at a place in the file or behind it."""
        reached = int(after or 0)
        milliseconds = _made_at(part.key)
        for found in self._segments[part.key].records():
            key = found.frame.key.encode()
            partition = self._membership.partitions.get(key)
            if found.start >= reached and partition is not None:
                entry = Entry(key, partition, b"%d-%d" % (milliseconds, found.start), found.frame.fields)
                yield Taken(entry, str(found.end), found.end - reached)
                reached = found.end

    async def shortfalls(self) -> list[str]:
        """What is damaged, and frames for streams that are not read. Raises `Unreachable`."""
        sentences: list[str] = []
        keys: Counter[str] = Counter()
        for segment in self._segments.values():
            segment.read_through()
            sentences += segment.troubles
            keys += segment.keys
        sentences += [f"{path}: a bot could not read it, and set it aside" for path in self._paths("*.unreadable")]
        return sentences + self._not_read(keys)

    def _not_read(self, keys: Counter[str]) -> list[str]:
        """Frames for other streams: of this prefix they are missing, those of another one are only told of, unless
        there are no others: then the prefix may be wrong."""
        others = {key: count for key, count in keys.items() if key.encode() not in self._membership.partitions}
        sentences: list[str] = []
        for key, count in sorted(others.items()):
            sentence = f"{count} frame{'s' * (count > 1)} for {key} in {self._folder} are not read"
            if key.startswith(self._membership.keys_begin):
                sentences.append(f"{sentence}: set TRACEQUEUE_PARTITIONS as the bots have it")
            elif len(others) == len(keys):
                sentences.append(f"{sentence}: set TRACEQUEUE_PREFIX as the bots have it")
            else:
                log.warning("%s: they are of another TRACEQUEUE_PREFIX", sentence)
        return sentences

    def _paths(self, pattern: str) -> list[Path]:
        try:
            if not self._folder.is_dir():
                raise FileNotFoundError(0, "there is no such folder")
            next(self._folder.iterdir(), None)
        except OSError as error:
            why = error.strerror or error
            raise Unreachable(f"the spool {self._folder} cannot be read: {why}: check --spool") from None
        return sorted(self._folder.glob(pattern))


def _made_at(name: str) -> int:
    """In milliseconds; 0 where the name does not say it."""
    found = MADE_AT.search(name)
    return int(found[1]) // 1_000_000 if found else 0
