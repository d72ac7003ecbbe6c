"""How a frame lies on disk: a header and a body, each with a checksum. Nothing that is read is trusted."""

import os
import struct
from typing import Final, NamedTuple
from zlib import crc32

from tracequeue.outgoing import Outgoing

FILE_HEAD: Final = b"tqspool\x01"
"""What a segment begins with; the last byte is the version of the format."""
MARK: Final = b"\xf5TQ\xfe"
"""What a record begins with. It is in no UTF-8 text, so the next record can be found behind a damaged header."""
HEAD: Final = struct.Struct("<4s16sQIHII")
"""The mark, emitter id, frame number, number of events, length of the key, length and checksum of the body."""
CHECKSUM: Final = struct.Struct("<I")
FIELD: Final = struct.Struct("<HI")
LONGEST_BODY: Final = 32 * 1024 * 1024
BLOCK_BYTES: Final = 64 * 1024
DAMAGED: Final = b"damaged on disk"
"""The encoding that a frame with a damaged body is sent under: the worker makes it a dead letter of its events."""


class Found(NamedTuple):
    """A record, and where in the file it is."""

    frame: Outgoing
    start: int
    end: int


def encode(frame: Outgoing) -> bytes:
    """The record of a frame."""
    key = frame.key.encode()
    body = b"".join(FIELD.pack(len(name), len(value)) + name + value for name, value in frame.fields.items())
    emitter_id = bytes.fromhex(frame.fields[b"src"].decode())
    head = HEAD.pack(MARK, emitter_id, frame.seq, frame.events, len(key), len(body), crc32(body)) + key
    return head + CHECKSUM.pack(crc32(head)) + body


def next_record(fd: int, offset: int) -> Found | None:
    """The first record at or after `offset` whose header is intact and whose body is all there. Raises `OSError`."""
    place: int | None = offset
    while place is not None:
        if found := _record_at(fd, place):
            return found
        place = _next_mark(fd, place + 1)
    return None


def _record_at(fd: int, offset: int) -> Found | None:
    head = os.pread(fd, HEAD.size, offset)
    if len(head) < HEAD.size or not head.startswith(MARK):
        return None
    _, emitter_id, seq, events, key_length, length, checksum = HEAD.unpack(head)
    key_and_checksum = os.pread(fd, key_length + CHECKSUM.size, offset + HEAD.size)
    key, start = key_and_checksum[:key_length], offset + HEAD.size + key_length + CHECKSUM.size
    if CHECKSUM.pack(crc32(head + key)) != key_and_checksum[key_length:] or length > LONGEST_BODY:
        return None
    body = os.pread(fd, length, start)
    if len(body) < length:
        return None
    fields = _fields(body) if crc32(body) == checksum else None
    frame = Outgoing(key.decode(), seq, events, fields or _damaged(emitter_id, seq, events, body))
    return Found(frame, offset, start + length)


def _next_mark(fd: int, offset: int) -> int | None:
    while len(block := os.pread(fd, BLOCK_BYTES, offset)) >= len(MARK):
        place = block.find(MARK)
        if place >= 0:
            return offset + place
        offset += len(block) - len(MARK) + 1
    return None


def _fields(body: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    place = 0
    while place < len(body):
        name_length, length = FIELD.unpack_from(body, place)
        start = place + FIELD.size
        place = start + name_length + length
        fields[body[start : start + name_length]] = body[start + name_length : place]
    return fields


def _damaged(emitter_id: bytes, seq: int, events: int, body: bytes) -> dict[bytes, bytes]:
    """A frame that keeps its number and its number of events, so that the emitter's account closes without it."""
    known = {b"v": b"1", b"src": emitter_id.hex().encode(), b"seq": b"%d" % seq, b"n": b"%d" % events}
    return known | {b"enc": DAMAGED, b"body": body}
