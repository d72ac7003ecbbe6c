"""A dead letter as an entry again: read by a worker, it is exactly what was refused."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.fixtures.frames import entry, frame, ndjson, span
from tracequeue.frame import pack, unpack
from tracequeue_worker.dead_letters.entry import NotRetried, entry_again
from tracequeue_worker.dead_letters.export import exported
from tracequeue_worker.dead_letters.fields import LARGEST_BODY, dead_letters
from tracequeue_worker.dead_letters.reader import ORIGINAL, DeadLetter, letter_of
from tracequeue_worker.decoder import Decoder, TimeWindow
from tracequeue_worker.records import DecodedFrame, Entry, Rejection
from tracequeue_worker.settings import WorkerSettings

DECODER = Decoder(TimeWindow.of(WorkerSettings()))
SRC = "a" * 32


def letters(received: Entry) -> tuple[DecodedFrame, list[DeadLetter]]:
    decoded = DECODER.decode(received)
    written = dead_letters(decoded, decoded.rejections, "worker-1")
    return decoded, [letter_of("7-1", 0, fields) for fields in written]


def test_an_event_comes_alone_at_its_own_index() -> None:
    first, (letter,) = letters(entry(frame(span(), span(), b"[]", src=SRC, seq=4)))
    fields = entry_again(letter)
    assert fields[b"retry"] == b"[2]"
    again, (second,) = letters(entry(fields, b"9-1"))
    assert (again.emitter_id, again.seq, again.retry, again.meta) == (first.emitter_id, 4, {2}, first.meta)
    assert [one.index for one in again.rejections] == [2]
    assert (second.raw, second.facts["index"], second.facts["retries"]) == (b"[]", 2, 1)
    assert second.facts["first_seen"] == letter.facts["first_seen"]
    assert b'"retries":2' in entry_again(second)[b"history"]


@pytest.mark.parametrize("fields", [frame(span(), src=SRC) | {b"v": b"2"}, {b"v": b"2", b"body": ndjson(span())}])
def test_a_frame_comes_as_it_was(fields: dict[bytes, bytes]) -> None:
    first, (letter,) = letters(entry(fields))
    again = entry_again(letter)
    assert {name: again[name] for name in fields} == fields
    upgraded = DECODER.decode(entry(again | {b"v": b"1"}, b"9-1"))
    assert (upgraded.emitter_id, upgraded.seq, upgraded.anonymous) == (first.emitter_id, first.seq, first.anonymous)
    assert (len(upgraded.spans), upgraded.retry) == (1, {0})


@pytest.mark.parametrize(
    "fields", [{b"odd": b"field"}, {b"body": b"", b"v": b"2"}, {b"body": b"\xff", b"enc": b"zstd"}]
)
def test_a_frame_of_no_events_is_retried_too(fields: dict[bytes, bytes]) -> None:
    _, (letter,) = letters(entry(fields))
    again = entry_again(letter)
    assert {name for name in again if name in {b"body", *fields}} == set(fields)
    assert unpack({b"body": b"", b"retry": again[b"retry"]}).retry == {0}


def test_long_numbers_of_a_producer_without_an_emitter_are_not_rounded_the_second_time() -> None:
    number = 2**70
    _, (letter,) = letters(entry({b"body": ndjson(span(input_data=number, span_name=""))}))
    mended = replace(letter, raw=letter.raw.replace(b'"span_name": ""', b'"span_name": "x"'))
    fields = entry_again(replace(mended, facts=letter.facts | {"size": len(mended.raw)}))
    (row,) = DECODER.decode(entry(fields)).spans
    assert row.input_data == b'"%d"' % number


def conflict() -> dict[bytes, bytes]:
    decoded = DECODER.decode(entry(frame(span(), src=SRC)))
    (fields,) = dead_letters(decoded, [Rejection(None, "seq_conflict", "numbered twice")], "w")
    return fields


def too_large() -> dict[bytes, bytes]:
    decoded = DECODER.decode(entry({b"body": b"x" * (LARGEST_BODY + 1)}))
    (fields,) = dead_letters(decoded, decoded.rejections, "w")
    return fields


@pytest.mark.parametrize(
    ("fields", "cure"), [(conflict, "another frame"), (too_large, "does not hold all"), (dict, "does not hold all")]
)
def test_what_cannot_be_retried_says_why_and_what_else_can_be_done(fields: Any, cure: str) -> None:
    with pytest.raises(NotRetried, match=cure) as refused:
        entry_again(letter_of("7-1", 0, fields()))
    assert "dlq export" in str(refused.value)


@pytest.mark.parametrize("history", [b"", b"{", b"[]", b'{"first_seen": "x", "retries": 1}', b'{"retries": 3}'])
def test_a_history_that_cannot_be_meant_is_none(history: bytes) -> None:
    _, (letter,) = letters(entry(frame(b"[]") | {b"history": history}))
    assert "retries" not in letter.facts
    assert isinstance(letter.facts["first_seen"], int)


def test_an_original_of_any_bytes_is_exported_whole() -> None:
    fields = {
        b"body": pack(ndjson(span(span_name="inside")), 1, emitter_id=SRC, seq=1, account=b"{}", meta=b"{}")[b"body"]
    }
    _, (letter,) = letters(entry(fields | {b"enc": b"zstd", b"v": b"2", b"\xfe\x00": b"\x1b[2J"}))
    line = exported(letter)
    assert line.isascii()
    assert "\n" not in line
    document = json.loads(line)
    assert base64.b64decode(document["raw"]["base64"]) == fields[b"body"]
    assert '"span_name": "inside"' in document["text"]
    assert [{"base64": "/gA="}, "\x1b[2J"] in document["fields"]
    assert (document["reason"], document["partition"]) == ("unknown_version", 0)
    assert ORIGINAL.decode() not in line
