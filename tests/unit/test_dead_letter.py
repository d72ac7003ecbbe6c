"""What a dead letter keeps."""

import pytest
from backports import zstd

from tests.fixtures.frames import entry, frame, ndjson, span
from tracequeue_worker.dead_letters.fields import LARGEST_BODY, LARGEST_FIELDS, dead_letters
from tracequeue_worker.decoder import Decoder, TimeWindow
from tracequeue_worker.records import Rejection
from tracequeue_worker.settings import WorkerSettings

DECODER = Decoder(TimeWindow.of(WorkerSettings()))


def letters(fields: dict[bytes, bytes], *more: Rejection) -> list[dict[bytes, bytes]]:
    decoded = DECODER.decode(entry(fields, b"5-1"))
    return dead_letters(decoded, [*decoded.rejections, *more], "worker-1")


def test_an_event_keeps_its_line() -> None:
    lines = [b'{"type":"span","bad":1}', b"{"]
    first, second = letters(frame(span(), *lines, src="a" * 32, seq=4))
    assert (first[b"raw"], first[b"size"], first[b"resendable"]) == (lines[0], b"%d" % len(lines[0]), b"1")
    assert (first[b"reason"], first[b"index"], second[b"reason"], second[b"index"]) == (
        b"schema", b"1", b"undecodable", b"2",
    )  # fmt: skip
    assert (first[b"src"], first[b"seq"], first[b"worker"]) == (b"a" * 32, b"4", b"worker-1")
    assert (first[b"stream"], first[b"entry"]) == (b"{tracequeue:0}:events", b"5-1")
    assert first[b"field:meta"] == b'{"service":"bot"}'


@pytest.mark.parametrize("change", [{b"v": b"9"}, {b"n": b"7"}, {b"meta": b"5"}])
def test_a_frame_keeps_all_of_its_entry(change: dict[bytes, bytes]) -> None:
    fields = frame(span()) | change
    (letter,) = letters(fields)
    assert letter[b"resendable"] == b"1"
    others = {name[6:]: value for name, value in letter.items() if name.startswith(b"field:")}
    assert {b"body": letter[b"raw"], **others} == fields
    assert letter[b"size"] == b"%d" % entry(fields).size


def test_an_oversized_entry_is_cut_and_says_so() -> None:
    body = b"x" * (LARGEST_BODY + 1)
    (letter,) = letters({b"body": body})
    assert (letter[b"raw"], letter[b"resendable"]) == (body[:LARGEST_BODY], b"0")
    assert letter[b"size"] == b"%d" % (len(body) + 4)


def test_oversized_other_fields_are_cut_and_say_so() -> None:
    (letter,) = letters({b"body": b"", b"v": b"2" * LARGEST_FIELDS} | {b"f%d" % n: b"y" * 5000 for n in range(100)})
    assert letter[b"resendable"] == b"0"
    kept = sum(len(name) + len(value) for name, value in letter.items() if name.startswith(b"field:"))
    assert 0 < kept <= LARGEST_FIELDS


def test_an_error_text_of_any_kind_is_bounded_bytes() -> None:
    (letter,) = letters(frame(span()), Rejection(0, "store:22P05", "\ud800" * 5000))
    assert len(letter[b"error"]) <= 2000


def test_the_ledger_may_name_events_of_a_frame_that_is_unreadable_this_time() -> None:
    unreadable = entry({b"body": zstd.compress(ndjson(span())), b"enc": b"zst"}, b"5-1")
    named = [Rejection(line, "schema", "x") for line in (3, 4)]
    (letter,) = dead_letters(DECODER.decode(unreadable), named, "worker-1")
    assert letter[b"index"] == b"3"
    assert (letter[b"raw"], letter[b"field:enc"]) == (unreadable.fields[b"body"], b"zst")


def test_a_large_meta_is_not_repeated_for_thousands_of_events() -> None:
    fields = frame(*[b"{"] * 1000, meta=b'{"service":"%s"}' % (b"s" * 5000))
    assert all(b"field:meta" not in letter for letter in letters(fields))
