"""Events <-> one stream entry: the frame of the wire format, version 1. Limits are enforced while unpacking."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import orjson

from tracequeue.errors import FrameRejected

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

VERSION: Final = b"1"
MAX_ENTRY_BYTES: Final = 4 * 1024 * 1024
MAX_BODY_BYTES: Final = 32 * 1024 * 1024
MAX_EVENTS: Final = 10_000
MAX_EVENT_BYTES: Final = 1024 * 1024
ZSTD_LEVEL: Final = 1


@dataclass(frozen=True, slots=True)
class Account:
    """What an emitter handed over and lost so far, and how much of it took the way over its disk. All cumulative.

    Merged by maximum, so order does not matter.
    """

    emitted: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    spooled: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One unpacked stream entry. `lines` are the events, still JSON; `seq` counts from 1 per emitter and partition.

    `emitter_id` is None for a frame that a foreign producer sent without one; then `seq` is 0. Retried, such a frame
    has the id that it was known by, and still number 0.
    """

    lines: list[bytes]
    body: bytes
    emitter_id: UUID | None = None
    seq: int = 0
    account: Account | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    retry: frozenset[int] = frozenset()

    @property
    def numbered(self) -> Iterable[tuple[int, bytes]]:
        """The events, each with its index in the frame as it was first sent: a retried one may hold only some."""
        if len(self.lines) == len(self.retry):
            return zip(sorted(self.retry), self.lines, strict=True)
        return enumerate(self.lines)


def pack(
    body: bytes,
    events: int,
    *,
    emitter_id: str,
    seq: int,
    account: bytes,
    meta: bytes,
    compress: bool = True,
) -> dict[bytes, bytes]:
    """Make the fields of a stream entry of NDJSON and the emitter's account and description, both JSON."""
    fields = {b"v": VERSION, b"n": b"%d" % events, b"src": emitter_id.encode(), b"seq": b"%d" % seq}
    if compress and body:
        fields[b"enc"] = b"zstd"
        body = zstd.compress(body, ZSTD_LEVEL)
    return fields | {b"acct": account, b"meta": meta, b"body": body}


def unpack(fields: Mapping[bytes, bytes]) -> Frame:
    """Read a stream entry, trusting nothing in it. Raises `FrameRejected` with the dead letter's reason."""
    version = fields.get(b"v", VERSION)
    if version != VERSION:
        raise FrameRejected("unknown_version", f"wire version {_quote(version)}, this worker reads version 1")
    size = sum(len(name) + len(value) for name, value in fields.items())
    if size > MAX_ENTRY_BYTES:
        raise FrameRejected("too_large", f"an entry of {size} bytes, the limit is {MAX_ENTRY_BYTES}")
    body = _decompress(fields)
    lines = list(filter(bytes.strip, body.split(b"\n")))
    _check_count(fields, lines)
    emitter_id, seq = identity(fields)
    return Frame(
        lines=lines,
        body=body,
        emitter_id=emitter_id,
        seq=seq,
        account=account_of(fields) if emitter_id else None,
        meta=_json_object(fields, b"meta"),
        retry=_retry(fields, len(lines)),
    )


def _decompress(fields: Mapping[bytes, bytes]) -> bytes:
    body = fields.get(b"body")
    if body is None:
        raise FrameRejected("undecodable", "the entry has no field `body`")
    encoding = fields.get(b"enc", b"json")
    if encoding == b"json":
        return body
    if encoding != b"zstd":
        raise FrameRejected("undecodable", f"unknown encoding {_quote(encoding)}, known are json and zstd")
    if not body:
        return b""
    decompressor = zstd.ZstdDecompressor()
    try:
        data = decompressor.decompress(body, MAX_BODY_BYTES + 1)
    except zstd.ZstdError as error:
        raise FrameRejected("undecodable", f"the body is not zstd: {error}") from error
    if len(data) > MAX_BODY_BYTES:
        raise FrameRejected("too_large", f"a body of more than {MAX_BODY_BYTES} bytes when decompressed")
    if not decompressor.eof or decompressor.unused_data:
        raise FrameRejected("undecodable", "the body is not one whole zstd frame")
    return data


def _check_count(fields: Mapping[bytes, bytes], lines: list[bytes]) -> None:
    if len(lines) > MAX_EVENTS:
        raise FrameRejected("too_large", f"{len(lines)} events in one frame, the limit is {MAX_EVENTS}")
    if b"n" in fields and _integer(fields, b"n") != len(lines):
        raise FrameRejected("count", f"the frame says {_quote(fields[b'n'])} events and holds {len(lines)}")


def identity(fields: Mapping[bytes, bytes]) -> tuple[UUID | None, int]:
    """The emitter and the frame number, also of an entry that is otherwise unreadable. Raises `FrameRejected`."""
    if b"src" not in fields:
        return None, 0
    try:
        emitter_id = UUID(hex=fields[b"src"].decode("ascii"))
    except ValueError as error:
        raise FrameRejected("undecodable", f"src {_quote(fields[b'src'])} is not a UUID") from error
    seq = _integer(fields, b"seq")
    least = 0 if b"retry" in fields else 1
    if not least <= seq < 2**63:
        raise FrameRejected("undecodable", f"seq {seq}: frame numbers start at 1 and fit 63 bits")
    return emitter_id, seq


def account_of(fields: Mapping[bytes, bytes]) -> Account:
    """The emitter's account, also of an entry that is otherwise unreadable. Raises `FrameRejected`."""
    account = _json_object(fields, b"acct")
    emitted, lost, spooled = account.get("emitted", 0), account.get("lost", {}), account.get("spooled", 0)
    numbers = [emitted, spooled, *lost.values()] if isinstance(lost, dict) else [None]
    if not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
        raise FrameRejected("undecodable", "acct is not {emitted: count, lost: {reason: count}, spooled: count}")
    return Account(emitted, lost, spooled)


def _retry(fields: Mapping[bytes, bytes], events: int) -> frozenset[int]:
    """The indexes to process again; of a frame without events at least one, so that it counts as retried too."""
    try:
        indexes = orjson.loads(fields.get(b"retry", b"[]"))
    except orjson.JSONDecodeError as error:
        raise FrameRejected("undecodable", f"retry is not JSON: {error}") from error
    if indexes is True:
        return frozenset(range(max(1, events)))
    if not isinstance(indexes, list) or not all(type(index) is int and 0 <= index < MAX_EVENTS for index in indexes):
        raise FrameRejected("undecodable", "retry is neither true nor a list of event indexes")
    return frozenset(indexes)


def _json_object(fields: Mapping[bytes, bytes], name: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(fields.get(name, b"{}"))
    except orjson.JSONDecodeError as error:
        raise FrameRejected("undecodable", f"{name.decode()} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise FrameRejected("undecodable", f"{name.decode()} is not a JSON object")
    return value


def _integer(fields: Mapping[bytes, bytes], name: bytes) -> int:
    text = fields.get(name, b"")
    if not text.isdigit() or len(text) > 19:
        raise FrameRejected("undecodable", f"{name.decode()} {_quote(text)} is not a count")
    return int(text)


def _quote(value: bytes) -> str:
    """Foreign bytes, short and printable, for an error text."""
    return repr(value[:40].decode("utf-8", "replace"))
