"""Whatever goes into a frame comes out; whatever comes in as a frame is read or refused, never an error."""

from contextlib import suppress
from uuid import UUID

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tracequeue.errors import FrameRejected
from tracequeue.frame import identity, pack, unpack

LINES = st.lists(st.binary(min_size=1, max_size=80).filter(lambda line: b"\n" not in line and not line.isspace()))
COUNTS = st.integers(0, 2**63 - 1)
NAMES = st.sampled_from([b"v", b"body", b"enc", b"n", b"src", b"seq", b"acct", b"meta", b"retry"]) | st.binary(
    max_size=4
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
PLAUSIBLE = (
    st.sampled_from(
        [b"1", b"0", b"json", b"zstd", b"[", b"{}", b"[0]", b'{"emitted":1}', b"\x28\xb5\x2f\xfd", b"a" * 32]
    )
    | JSON.map(lambda value: repr(value).encode("utf-8", "replace"))
    | st.integers().map(lambda number: b"%d" % number)
)


@given(
    lines=LINES, emitter=st.uuids(), seq=st.integers(1, 2**63 - 1), emitted=COUNTS,
    lost=st.dictionaries(st.text(max_size=20), COUNTS), compress=st.booleans(),
)  # fmt: skip
def test_round_trip(
    lines: list[bytes], emitter: UUID, seq: int, emitted: int, lost: dict[str, int], compress: bool
) -> None:
    account = orjson.dumps({"emitted": emitted, "lost": lost})
    body = b"".join(line + b"\n" for line in lines)
    fields = pack(
        body, len(lines), emitter_id=emitter.hex, seq=seq, account=account, meta=b'{"a":1}', compress=compress
    )
    frame = unpack(fields)
    assert (frame.lines, frame.body) == (lines, body)
    assert (frame.emitter_id, frame.seq) == (emitter, seq) == identity(fields)
    assert frame.account is not None
    assert (frame.account.emitted, frame.account.lost) == (emitted, lost)
    assert frame.meta == {"a": 1}


@given(st.dictionaries(NAMES, st.binary(max_size=60) | PLAUSIBLE))
def test_any_fields_are_read_or_refused(fields: dict[bytes, bytes]) -> None:
    with suppress(FrameRejected):
        unpack(fields)
    with suppress(FrameRejected):
        identity(fields)


@given(LINES, st.integers(0, 10_000), st.integers(0, 255))
def test_any_byte_of_a_frame_may_be_wrong(lines: list[bytes], place: int, byte: int) -> None:
    body = b"".join(line + b"\n" for line in lines) or b"{}"
    fields = pack(body, len(lines), emitter_id="ab" * 16, seq=1, account=b"{}", meta=b"{}")
    spoilt = bytearray(fields[b"body"])
    spoilt[place % len(spoilt)] = byte
    with suppress(FrameRejected):
        unpack(fields | {b"body": bytes(spoilt)})
