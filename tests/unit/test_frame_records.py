"""Entries in files: a worker makes the same of what comes out as of what went in, whatever a producer sent."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.frames import entry, frame, ndjson, span, started
from tests.fixtures.history import meaning
from tracequeue.frame import MAX_ENTRY_BYTES
from tracequeue_worker.errors import Damaged
from tracequeue_worker.history.file_format import MAX_RECORD_BYTES, read_object
from tracequeue_worker.history.frame_records import entry_of, frame_line, measure
from tracequeue_worker.records import Entry

NAMES = st.sampled_from([b"v", b"enc", b"n", b"src", b"seq", b"acct", b"meta", b"body", b"retry", b"other", b"\xff"])
VALUES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"1", b"0", b"json", b"zstd", b"{}", b"[]", b"[0]", b"true", b"0123456789abcdef" * 2, b'{"a":1}\n']
    ),
)


def again(original: Entry) -> Entry:
    line = frame_line(original).line
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    return entry_of(read_object(line))


def is_readable(original: Entry) -> bool:
    return "body" in read_object(frame_line(original).line)


@pytest.mark.parametrize(
    ("fields", "readable"),
    [
        (frame(span(), started(), seq=7), True),
        (frame(seq=3), True),
        (frame(span(input_data="Grüße 🙂 \u2028"), seq=1), True),
        (frame(span(start_time=None), span(), seq=2), True),
        (frame(b"not json", span(), seq=2), True),
        (frame(span(), seq=1, retry=b"[0]"), False),
        (frame(span(), seq=1, other=b"kept"), False),
        (frame(b"\xff\xfe", seq=1), False),
        (frame(span(), seq=1, meta=b"[" * 2000), False),
        (frame(span(), seq=1, meta=b'{"a":' * 300 + b"1" + b"}" * 300), False),
        (frame(span(), seq=1, n=b"9"), False),
        (frame(span(), seq=1, body=b"no zstd"), False),
        (frame(span(), seq=1, v=b"2"), False),
        (frame(span(), seq=0), False),
        ({b"body": ndjson(span())}, False),
        ({b"body": ndjson(span()), b"n": b"1"}, False),
        ({b"other": b"\x00\xff"}, False),
        ({b"body": b""}, False),
        (frame(*[span(input_data="x" * 900_000)] * 3, seq=1), False),
    ],
)
def test_a_worker_makes_the_same_of_it(fields, readable):
    original = entry(fields, b"1790000000000-5")
    assert meaning(again(original)) == meaning(original)
    assert is_readable(original) == readable
    if not readable:
        assert again(original).fields == fields


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_a_worker_makes_the_same_of_anything(fields):
    original = entry(fields, b"1790000000000-5")
    assert meaning(again(original)) == meaning(original)


@given(
    st.lists(st.binary(max_size=40) | st.text(max_size=40).map(str.encode), max_size=4),
    st.dictionaries(st.text(max_size=9), st.integers(0, 2**63 - 1) | st.floats() | st.text(max_size=9), max_size=4),
    st.integers(1, 2**63 - 1),
)
def test_a_worker_makes_the_same_of_any_frame(parts, meta, seq):
    body = [part.replace(b"\n", b"") or b"{}" for part in parts]
    original = entry(frame(*body, seq=seq) | {b"meta": orjson.dumps(meta)}, b"1790000000000-5")
    assert meaning(again(original)) == meaning(original)


def test_a_line_says_how_many_events_it_has_and_when_it_was_taken():
    line = frame_line(entry(frame(span(), span(), seq=1), b"1790000000123-4"))
    assert (line.events, line.at) == (2, 1_790_000_000_123_000)
    assert measure(read_object(line.line)) == (2, 1_790_000_000_123_000)


def test_an_entry_as_large_as_a_worker_takes_is_kept_whole():
    original = entry({b"body": b"\x00" * (MAX_ENTRY_BYTES - 100)})
    assert again(original) == original


def test_an_entry_that_is_too_long_for_a_file_is_named_in_its_place():
    line = frame_line(entry({b"body": b"\xff" * MAX_RECORD_BYTES}, b"5-1"))
    record = read_object(line.line)
    assert record["left_out"] == f"an entry of {MAX_RECORD_BYTES + 4} bytes"
    assert record["entry"] == "5-1"


@pytest.mark.parametrize(
    "lie",
    [
        {"entry": "x"}, {"entry": None}, {"entry": "1"}, {"entry": "-1-1"}, {"stream": 5}, {"partition": -1},
        {"partition": "0"}, {"partition": 2**40}, {"n": -1}, {"n": 2.0}, {"n": True}, {"n": 10**9}, {"src": 1},
        {"seq": 2**63}, {"seq": "1"}, {"body": None}, {"body": ["x"]}, {"fields": 5}, {"fields": [["a"]]},
        {"fields": [["a", 1]]}, {"fields": [["a", {"base64": "!"}]]}, {"fields": [["a", {}]]}, {"fields": {"a": 1}},
        {"acct": [[[]] * 2] * 2, "meta": orjson.loads(b'{"a":' * 300 + b"1" + b"}" * 300)},
    ],
)  # fmt: skip
def test_records_that_lie_are_refused(lie):
    record = read_object(frame_line(entry(frame(span(), seq=1))).line)
    with pytest.raises(Damaged):
        entry_of(record | lie)
