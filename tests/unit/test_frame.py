"""One stream entry: what is a frame, what is not, and the limits exactly at the edge."""

import sys
from uuid import uuid4

import pytest

from tracequeue import frame as module
from tracequeue.errors import FrameRejected
from tracequeue.frame import Account, pack, unpack

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

EMITTER = uuid4()


def packed(*lines: bytes, compress: bool = True, **changes: bytes | None) -> dict[bytes, bytes]:
    """An entry of the emitter with some fields changed; None leaves one out."""
    fields = pack(
        b"".join(line + b"\n" for line in lines), len(lines), emitter_id=EMITTER.hex, seq=3,
        account=b'{"emitted":9,"lost":{"buffer_full":2},"spooled":4}', meta=b'{"service":"bot"}', compress=compress,
    )  # fmt: skip
    changed: dict[bytes, bytes | None] = {**fields, **{name.encode(): value for name, value in changes.items()}}
    return {name: value for name, value in changed.items() if value is not None}


def zstd_of_zeros(size: int) -> bytes:
    """Made in pieces: the bomb is cheap for whoever sends it."""
    compressor = zstd.ZstdCompressor(level=1)
    piece = bytes(16 * 1024 * 1024)
    return b"".join(compressor.compress(piece) for _ in range(size // len(piece))) + compressor.flush()


def refusal(fields: dict[bytes, bytes]) -> str:
    with pytest.raises(FrameRejected) as caught:
        unpack(fields)
    assert len(str(caught.value)) < 300
    return caught.value.reason


@pytest.mark.parametrize("compress", [True, False])
def test_what_was_packed_comes_out(compress: bool) -> None:
    frame = unpack(packed(b'{"a":1}', b'{"b":2}', compress=compress, retry=b"[1]"))
    assert frame.lines == [b'{"a":1}', b'{"b":2}']
    assert (frame.emitter_id, frame.seq) == (EMITTER, 3)
    assert frame.account == Account(9, {"buffer_full": 2}, 4)
    assert frame.meta == {"service": "bot"}
    assert frame.retry == {1}


def test_a_line_of_json_in_one_field_is_a_frame() -> None:
    frame = unpack({b"body": b'{"type":"span"}'})
    assert (frame.lines, frame.emitter_id, frame.seq, frame.account) == ([b'{"type":"span"}'], None, 0, None)


def test_a_frame_of_no_events_is_legal() -> None:
    assert unpack(packed()).lines == []
    assert unpack(packed(compress=False)).lines == []


def test_blank_lines_are_no_events() -> None:
    assert unpack({b"body": b'\n{"a":1}\r\n \t\n\n{"b":2}\n', b"n": b"2"}).lines == [b'{"a":1}\r', b'{"b":2}']


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"v": b"2"}, "unknown_version"), ({"v": b""}, "unknown_version"), ({"v": b"1.0"}, "unknown_version"),
        ({"body": None}, "undecodable"), ({"enc": b"gzip"}, "undecodable"), ({"enc": b"\xff"}, "undecodable"),
        ({"n": b"2"}, "count"), ({"n": b"0"}, "count"), ({"n": b"-1"}, "undecodable"), ({"n": b"x"}, "undecodable"),
        ({"n": b""}, "undecodable"), ({"n": b"1" * 20}, "undecodable"), ({"n": "\u0661".encode()}, "undecodable"),
        ({"src": b"bot"}, "undecodable"), ({"src": b""}, "undecodable"), ({"src": b"\xff" * 32}, "undecodable"),
        ({"seq": None}, "undecodable"), ({"seq": b"0"}, "undecodable"), ({"seq": b"-1"}, "undecodable"),
        ({"seq": b"1e3"}, "undecodable"), ({"seq": b"%d" % 2**63}, "undecodable"),
        ({"seq": b"9" * 5000}, "undecodable"),
        ({"acct": b"[]"}, "undecodable"), ({"acct": b"{"}, "undecodable"), ({"acct": b'{"emitted":-1}'}, "undecodable"),
        ({"acct": b'{"emitted":true}'}, "undecodable"), ({"acct": b'{"emitted":1.5}'}, "undecodable"),
        ({"acct": b'{"emitted":%d}' % 2**63}, "undecodable"), ({"acct": b'{"lost":[1]}'}, "undecodable"),
        ({"acct": b'{"spooled":-1}'}, "undecodable"), ({"acct": b'{"spooled":"1"}'}, "undecodable"),
        ({"acct": b'{"lost":{"x":"1"}}'}, "undecodable"), ({"acct": b'{"lost":{"x":-1}}'}, "undecodable"),
        ({"meta": b"null"}, "undecodable"), ({"meta": b"\xff"}, "undecodable"), ({"meta": b"NaN"}, "undecodable"),
        ({"retry": b"1"}, "undecodable"), ({"retry": b"[-1]"}, "undecodable"), ({"retry": b"[true]"}, "undecodable"),
        ({"retry": b'["1"]'}, "undecodable"), ({"retry": b"["}, "undecodable"),
    ],
    ids=str,
)  # fmt: skip
def test_a_field_that_cannot_be_meant(changes: dict[str, bytes | None], reason: str) -> None:
    assert refusal(packed(b"{}", **changes)) == reason


@pytest.mark.parametrize(("name", "value"), [("v", None), ("n", None), ("acct", None), ("meta", None), ("retry", None)])
def test_what_is_optional_may_be_missing(name: str, value: None) -> None:
    assert unpack(packed(b"{}", **{name: value})).lines == [b"{}"]


def test_the_largest_frame_number_fits() -> None:
    assert unpack(packed(b"{}", seq=b"%d" % (2**63 - 1))).seq == 2**63 - 1


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    bomb = zstd_of_zeros(1024 * 1024 * 1024)
    assert len(bomb) < module.MAX_ENTRY_BYTES
    assert refusal({b"body": bomb, b"enc": b"zstd"}) == "too_large"


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_truncated_zstd(cut: int) -> None:
    body = zstd.compress(b'{"a":1}\n' * 10)
    assert refusal({b"body": body[:-cut], b"enc": b"zstd"}) == "undecodable"


@pytest.mark.parametrize("tail", [b"x", b"\0" * 100, zstd.compress(b"{}")])
def test_data_after_the_frame(tail: bytes) -> None:
    assert refusal({b"body": zstd.compress(b"{}") + tail, b"enc": b"zstd"}) == "undecodable"


def test_what_is_not_zstd() -> None:
    assert refusal({b"body": b"{}", b"enc": b"zstd"}) == "undecodable"


def test_an_entry_exactly_at_its_limit() -> None:
    room = module.MAX_ENTRY_BYTES - len(b"body")
    assert unpack({b"body": b"x" * room}).body == b"x" * room
    assert refusal({b"body": b"x" * (room + 1)}) == "too_large"


def test_names_and_other_fields_count_too() -> None:
    assert refusal({b"body": b"{}", b"x" * module.MAX_ENTRY_BYTES: b""}) == "too_large"


def test_a_body_exactly_at_its_limit() -> None:
    assert len(unpack({b"body": zstd.compress(b"x" * module.MAX_BODY_BYTES), b"enc": b"zstd"}).body) == 32 * 1024 * 1024
    assert refusal({b"body": zstd.compress(b"x" * (module.MAX_BODY_BYTES + 1)), b"enc": b"zstd"}) == "too_large"


def test_events_exactly_at_their_limit() -> None:
    assert len(unpack({b"body": b"{}\n" * module.MAX_EVENTS}).lines) == 10_000
    assert refusal({b"body": b"{}\n" * (module.MAX_EVENTS + 1)}) == "too_large"
