"""The quick way for usual lines: it takes none that the models refuse, and makes no other row of any than they do."""

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.frames import ended, entry, ndjson, span, started
from tracequeue import TraceContext
from tracequeue import span as traced
from tracequeue.frame import Frame
from tracequeue.testing import MemoryCollector
from tracequeue_worker.careful_lines import careful_row
from tracequeue_worker.decoder import Decoder, TimeWindow
from tracequeue_worker.foreign import suspicious
from tracequeue_worker.quick_lines import quick_rows
from tracequeue_worker.records import SpanRow, TraceRow
from tracequeue_worker.settings import WorkerSettings

WINDOW = TimeWindow.of(WorkerSettings())
TRACE_ID = "019b76da-a800-7000-8000-0000000000af"
USUAL = {
    "span": span(
        trace_id=TRACE_ID, parent_span_id="f" * 16, kind="a", error="E: x", output_data=1, attributes={}, truncated={}
    ),
    "trace.started": started(trace_id=TRACE_ID, session_id="s", tags=["a"], metadata={"a": 1.5}, parent="00-1"),
    "trace.ended": ended(trace_id=TRACE_ID, session_id="s", tags=[], metadata={}, error="E: x", dropped={"full": 3}),
}
"""An event of each type with all that it may say."""


def quick_row(line: bytes) -> SpanRow | TraceRow | None:
    """What the quick way makes of a line; None if it declines it."""
    spans: list[SpanRow] = []
    traces: list[TraceRow] = []
    declined = quick_rows([(0, line)], WINDOW.now(), spans, traces)
    assert len(declined) + len(spans) + len(traces) == 1
    return None if declined else [*spans, *traces][0]


def assert_declined_or_the_same(line: bytes) -> None:
    row = None if suspicious(Frame([line], line, seq=1)) else quick_row(line)
    if row is not None:
        careful = careful_row(0, line, WINDOW.now(), odd=False)
        assert repr(careful) == repr((row, 0))


def members(kind: str, *left_out: str) -> list[tuple[bytes, bytes]]:
    """Names and values of a usual event, as they are written."""
    return [
        (b'"%s"' % name.encode(), json.dumps(value).encode())
        for name, value in USUAL[kind].items()
        if name not in left_out
    ]


def joined(items: list[tuple[bytes, bytes]]) -> bytes:
    return b"{" + b", ".join(name + b":" + value for name, value in items) + b"}"


def quoted(*texts: str | bytes) -> list[bytes]:
    return [b'"%s"' % (text.encode() if isinstance(text, str) else text) for text in texts]


PLAIN = (
    *b"""0 -0 -0.0 1.0 200 1e5 1E+2 1e400 -1e400 1e-400 1e131071 5e-324 2.5e-324 2147483648 9007199254740993
    9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551615
    18446744073709551616 01 -01 +1 .5 1. 1_0 1e 0x1 NaN Infinity -Infinity true false null [] [1]
    [""] {} {"a":1}""".split(),
    b"1" * 400, b"1" * 5_000, b"1." + b"1" * 5_000, b"0." + b"0" * 400 + b"1",
)  # fmt: skip
TEXTS = quoted(
    r"\ud800", r"\udc00", r"\ud800x", r"\ud800\u0041", r"\ud83d\ude00", r"\u0000", r"\\u0000", r"\u00e9\/\b", r"\x",
    r"\u12", "\t", "\0", "\x7f", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", "é", '"',
    "", "ok", "OK", "cancelled", "span", "trace.started", "true", "1", "1700000000000000",
    "2026-01-02T03:04:05+02:00", "0123456789abcdef", "0123456789ABCDEF", "0123456789abcde", r"0123456789abcde\n",
    r"0123456789abcdef\n", "0123456789abcdefa", "-123456789abcdef", "0123456_89abcdef", "\u0660" * 16,
    TRACE_ID, TRACE_ID.upper(), f"{{{TRACE_ID}}}", f"urn:uuid:{TRACE_ID}", TRACE_ID.replace("-", ""),
    rf"{TRACE_ID}\n", TRACE_ID[:-1], f"{TRACE_ID[:-1]}\uff10", f"{TRACE_ID[:-1]}g",
    "n" * 200, "n" * 201, "é" * 200, "\N{GRINNING FACE}" * 200, "\N{GRINNING FACE}" * 201,
)  # fmt: skip
NUMBERS = st.from_regex(rb"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
STRINGS = st.text().map(json.dumps).map(str.encode) | st.text().map(orjson.dumps) | st.sampled_from(TEXTS)
DEEP = st.sampled_from(
    [opened * depth + b"1" + closed * depth
     for depth in (200, 253, 254, 255, 900, 1_023, 1_025, 3_000) for opened, closed in ((b"[", b"]"), (b'{"a":', b"}"))]
)  # fmt: skip
LEAVES = NUMBERS | STRINGS | st.sampled_from(PLAIN)
VALUES = DEEP | st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: b"[" + b" ,".join(items) + b"]")
        | st.lists(st.tuples(STRINGS, inner), max_size=3).map(joined)
    ),
    max_leaves=8,
)
PAYLOADS = st.sampled_from(["input_data", "output_data", "attributes", "metadata"])
FIELDS = sorted({"spam", *(name for event in USUAL.values() for name in event)})
SPOILT = st.tuples(st.floats(0, 1), st.binary(max_size=4), st.integers(0, 4))
"""Where in a line, what is put there, and instead of how many bytes."""
CHANGES = st.lists(st.tuples(PAYLOADS, VALUES) | st.tuples(st.sampled_from(FIELDS), LEAVES), max_size=2)


@pytest.mark.parametrize("kind", sorted(USUAL))
@pytest.mark.parametrize("name", FIELDS)
def test_a_field_with_each_borderline_value(kind: str, name: str) -> None:
    for value in (*PLAIN, *TEXTS):
        assert_declined_or_the_same(joined([*members(kind, name), (b'"%s"' % name.encode(), value)]))


@settings(max_examples=1_500, deadline=None)
@given(st.sampled_from(sorted(USUAL)), CHANGES, st.booleans(), st.randoms())
def test_fields_written_otherwise(kind: str, changes: list[tuple[str, bytes]], twice: bool, chance: Any) -> None:
    items = members(kind, *(() if twice else (name for name, _ in changes)))
    items += [(b'"%s"' % name.encode(), value) for name, value in changes]
    chance.shuffle(items)
    assert_declined_or_the_same(joined(items))


@settings(max_examples=1_500, deadline=None)
@given(st.sampled_from(sorted(USUAL)), st.lists(SPOILT, max_size=3))
def test_bytes_spoilt(kind: str, spoilt: list[tuple[float, bytes, int]]) -> None:
    line = json.dumps(USUAL[kind]).encode()
    for where, other, length in spoilt:
        place = int(where * len(line))
        line = line[:place] + other + line[place + length :]
    assert_declined_or_the_same(line)


@pytest.mark.parametrize("usual", [*USUAL.values(), span(input_data=...), started(user_id=...), ended(span_count=...)])
def test_what_is_usual_is_taken(usual: dict[str, Any]) -> None:
    assert quick_row(orjson.dumps(usual)) is not None
    assert quick_row(json.dumps(usual, indent=None, separators=(" , ", " : ")).encode()) is not None


def test_what_our_emitter_writes_is_taken(recorded: MemoryCollector) -> None:
    trace = TraceContext("support", user_id=7, session_id="chat", tags=["a"], metadata={"a": float("nan")})
    with trace, suppress(ValueError), traced("a\0b", kind="tool") as step:
        step.set_input({"x": "\ud800\0"})
        step.set_output([1, 2**70, b"\xff"])
        step.set_attribute("gen_ai.request.model", "m")
        raise ValueError("\ud800\0")
    lines = [orjson.dumps(event) for event in recorded.events]
    assert [type(quick_row(line)) for line in lines] == [TraceRow, SpanRow, TraceRow]


@pytest.mark.parametrize(
    "change",
    [
        {"spam": 1}, {"start_time": "2026-01-02T03:04:05Z"}, {"trace_id": TRACE_ID.upper()}, {"span_id": "A" * 16},
        {"parent_span_id": "A" * 16}, {"success": 1}, {"start_time": 0}, {"end_time": 2**62}, {"input_data": 10**30},
        {"input_data": "x" * 2**20},
    ],
)  # fmt: skip
def test_what_is_left_to_the_models(change: dict[str, Any]) -> None:
    assert quick_row(json.dumps(USUAL["span"] | change).encode()) is None


def test_rows_stay_in_the_order_of_their_lines() -> None:
    names = ["a", "b", "c", "d"]
    events = [span(span_name=name, **{"spam": 1} if name in "ac" else {}) for name in names]
    decoder = Decoder(WINDOW)
    decoded = decoder.decode(entry({b"body": ndjson(*events, started(spam=1), ended())}))
    assert [(row.line, row.span_name) for row in decoded.spans] == list(enumerate(names))
    assert [row.line for row in decoded.traces] == [4, 5]
    assert decoder.ignored_fields == 3
