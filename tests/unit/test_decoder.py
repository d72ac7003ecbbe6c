"""Entry -> rows and rejections, whatever the bytes are."""

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.frames import ended, entry, frame, ndjson, span, started
from tracequeue.errors import SettingsError
from tracequeue.frame import MAX_BODY_BYTES
from tracequeue_worker.decoder import ERROR_LENGTH, Decoder, TimeWindow
from tracequeue_worker.records import DecodedFrame
from tracequeue_worker.settings import WorkerSettings

DAY = 86_400_000_000
DECODER = Decoder(TimeWindow.of(WorkerSettings()))


def decode(*events: Any, **fields: bytes) -> DecodedFrame:
    return DECODER.decode(entry({b"body": ndjson(*events)} | {name.encode(): value for name, value in fields.items()}))


def reasons(decoded: DecodedFrame) -> list[tuple[int | None, str]]:
    return [(rejection.index, rejection.reason) for rejection in decoded.rejections]


def test_rows_in_the_order_of_the_columns() -> None:
    events = [started(tags=["a"]), span(parent_span_id="0" * 16, truncated={"x": "cut"}), ended(error="E: x")]
    decoded = DECODER.decode(entry(frame(*events, src="0" * 31 + "7", seq=9)))

    assert (decoded.emitter_id, decoded.seq, decoded.events, decoded.rows) == (UUID(int=7), 9, 3, 3)
    assert (decoded.anonymous, decoded.meta, decoded.rejections) == (False, {"service": "bot"}, [])
    row = decoded.spans[0]
    assert row.line == 1
    assert row.trace_id == events[1]["trace_id"]
    assert (row.start_time, row.end_time) == (events[1]["start_time"], events[1]["end_time"])
    assert (row.input_data, row.output_data, row.truncated) == (b'{"text":"hello"}', None, b'{"x":"cut"}')
    first, last = decoded.traces
    assert (first.line, first.status, first.end_time, first.tags) == (0, None, None, ["a"])
    assert (last.line, last.status, last.duration_ms, last.error) == (2, "ok", 2.5, "E: x")


def test_a_bad_event_harms_only_itself() -> None:
    decoded = decode(span(span_name="a"), {"type": "span"}, b"{", span(span_name="b"))
    assert [row.span_name for row in decoded.spans] == ["a", "b"]
    assert reasons(decoded) == [(1, "schema"), (2, "undecodable")]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"type": "spam"}, "spam"), ({"type": ...}, "type"), ({"trace_id": "x"}, "trace_id"),
        ({"span_id": "ABCDEF0123456789"}, "span_id"), ({"span_name": ""}, "span_name"),
        ({"span_name": "n" * 201}, "span_name"), ({"start_time": 1.5e9}, "start_time"),
        ({"start_time": "1700000000"}, "start_time"), ({"start_time": True}, "start_time"),
        ({"start_time": "2026-01-01T00:00:00"}, "start_time"), ({"start_time": 2**70}, "start_time"),
        ({"duration_ms": -1}, "duration_ms"), ({"duration_ms": float("nan")}, "duration_ms"),
        ({"status": "fine"}, "status"), ({"attributes": [1]}, "attributes"),
    ],
)  # fmt: skip
def test_a_breach_of_the_contract_names_its_place(change: dict[str, Any], place: str) -> None:
    decoded = decode(span(**change))
    assert reasons(decoded) == [(0, "schema")]
    assert place in decoded.rejections[0].error


@pytest.mark.parametrize("event", [[], None, 5, "text", {"type": {"a": 1}}, {"type": "span", "trace_id": {}}])
def test_json_that_is_no_event(event: Any) -> None:
    assert reasons(decode(event)) == [(0, "schema")]


def test_error_texts_are_bounded_and_do_not_quote_values() -> None:
    decoded = decode(
        span(span_id="secret" * 100), {"type": "t" * 9000}, span(dropped={"k" * 9000: -1}, status="s" * 9000)
    )
    assert len(decoded.rejections) == 3
    assert all(len(rejection.error) <= ERROR_LENGTH for rejection in decoded.rejections)
    assert "secret" not in decoded.rejections[0].error


def test_rfc_3339_times_are_exact() -> None:
    decoded = decode(span(start_time="2026-01-02T03:04:05.123456+02:00", end_time="2026-01-02T01:04:06Z"))
    assert (decoded.spans[0].start_time, decoded.spans[0].end_time) == (1767315845123456, 1767315846000000)


@pytest.mark.parametrize(
    "change",
    [
        lambda now: {"start_time": 0}, lambda now: {"start_time": now + 8 * DAY}, lambda now: {"end_time": 2**62},
        lambda now: {"start_time": "9999-12-31T23:59:59Z"}, lambda now: {"start_time": "0001-01-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_times_outside_the_window(change: Callable[[int], dict[str, Any]]) -> None:
    assert reasons(decode(span(**change(time.time_ns() // 1000)))) == [(0, "time_range")]


def test_a_bad_past_limit_is_named() -> None:
    with pytest.raises(SettingsError, match="TRACEQUEUE_PAST_LIMIT"):
        WorkerSettings.load(past_limit="yesterday")


def test_what_postgres_refuses_is_replaced_and_said() -> None:
    line = (
        json.dumps(span(input_data={"nul": "a\0b", "lone": "\ud800", "inf": float("inf"), "long": 10**30}, error="\0"))
    ).encode()
    row = decode(line).spans[0]
    assert orjson.loads(row.input_data or "") == {"nul": "a\ufffdb", "lone": "\ufffd", "inf": None, "long": str(10**30)}
    assert row.error == "\ufffd"
    assert set(orjson.loads(row.truncated or "")) == {
        "input_data.nul", "input_data.lone", "input_data.inf", "input_data.long", "error",
    }  # fmt: skip


def test_a_replacement_in_a_trace_is_said_in_its_metadata() -> None:
    row = decode(started(session_id="\0", metadata={"a": 1})).traces[0]
    assert row.session_id == "\ufffd"
    assert orjson.loads(row.metadata or "") == {
        "a": 1,
        "tracequeue.truncated": {"session_id": "1 characters replaced by U+FFFD"},
    }


def test_a_backslash_before_u0000_is_text() -> None:
    row = decode(span(input_data="\\u0000")).spans[0]
    assert (orjson.loads(row.input_data or ""), row.truncated) == ("\\u0000", None)


def test_meta_and_account_lose_their_nul() -> None:
    decoded = decode(span(), src=b"0" * 32, seq=b"1", meta=rb'{"service":"a\u0000b"}', acct=rb'{"lost":{"a\u0000":1}}')
    assert decoded.meta == {"service": "a\ufffdb"}
    assert decoded.account is not None
    assert decoded.account.lost == {"a\ufffd": 1}


def test_bytes_that_are_not_utf_8() -> None:
    assert reasons(decode(b'{"type":"span\xff"}')) == [(0, "encoding")]


@pytest.mark.parametrize("depth", [300, 2_000, 100_000])
def test_depth_is_refused(depth: int) -> None:
    deep = json.dumps(span(input_data="@")).replace('"@"', "[" * depth + "]" * depth).encode()
    assert reasons(decode(span(), deep)) == [(1, "too_large")]


def test_size_is_refused() -> None:
    assert reasons(decode(span(input_data="x" * 2**20), span())) == [(0, "too_large")]
    assert reasons(decode(b"1" * 50_000_000)) == [(None, "too_large")]
    bomb = {b"body": zstd.compress(b"\n" * (MAX_BODY_BYTES + 1)), b"enc": b"zstd"}
    assert reasons(DECODER.decode(entry(bomb))) == [(None, "too_large")]


@pytest.mark.parametrize("number", [b"1" * 5_000, b"1e400", b"-1e400"])
def test_numbers_beyond_all_bounds(number: bytes) -> None:
    decoded = decode(json.dumps(span(input_data="@")).encode().replace(b'"@"', number))
    assert len(decoded.spans) + len(decoded.rejections) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({b"body": b"", b"v": b"2"}, "unknown_version"), ({}, "undecodable"), ({b"body": b"", b"n": b"1"}, "count"),
        ({b"body": b"x", b"enc": b"zstd"}, "undecodable"), ({b"body": b"", b"meta": b"[]"}, "undecodable"),
        ({b"body": b"", b"meta": b'{"a":' + b"[" * 1_000 + b"]" * 1_000 + b"}"}, "undecodable"),
    ],
)  # fmt: skip
def test_an_unreadable_frame_keeps_its_identity(fields: dict[bytes, bytes], reason: str) -> None:
    named = DECODER.decode(entry(fields | {b"src": b"0" * 31 + b"7", b"seq": b"3"}))
    assert reasons(named) == [(None, reason)]
    assert (named.emitter_id, named.seq, named.anonymous) == (UUID(int=7), 3, False)
    assert DECODER.decode(entry(fields | {b"n": b"12", b"v": b"?"})).events == 12
    nameless = DECODER.decode(entry(fields))
    assert (nameless.seq, nameless.anonymous) == (0, True)


def test_an_anonymous_frame_is_known_by_where_and_what_it_is() -> None:
    fields = {b"body": ndjson(span())}
    same = DECODER.decode(entry(fields)).emitter_id
    assert DECODER.decode(entry(dict(fields))).emitter_id == same
    others = [entry(fields, b"1-2"), entry(fields, stream=b"x"), entry({b"body": b"{}"})]
    assert same not in {DECODER.decode(other).emitter_id for other in others}


def test_the_digest_is_that_of_the_events_however_packed() -> None:
    body = ndjson(span())
    packed = {b"body": zstd.compress(body), b"enc": b"zstd"}
    assert DECODER.decode(entry(packed)).digest == DECODER.decode(entry({b"body": body})).digest


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([b"v", b"n", b"src", b"seq", b"enc", b"body", b"acct", b"meta", b"retry", b"x"]), st.binary()
    )
)
def test_any_bytes_give_an_answer(fields: dict[bytes, bytes]) -> None:
    decoded = DECODER.decode(entry(fields))
    assert decoded.rejections or decoded.rows == decoded.events


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(span())), json_values), json_values)
def test_any_json_in_an_event_gives_a_row_of_storable_text_or_a_rejection(changes: dict[str, Any], data: Any) -> None:
    decoded = decode(json.dumps({**span(attributes={"a": data}), **changes}).encode())
    assert decoded.rows + len(decoded.rejections) == 1
    for row in decoded.spans:
        for value in row:
            if isinstance(value, str):
                value.encode()
                assert "\0" not in value
        for document in filter(None, (row.input_data, row.output_data, row.attributes, row.truncated)):
            assert "\\u0000" not in json.dumps(json.loads(document, parse_constant=pytest.fail))
