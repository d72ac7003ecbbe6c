"""Faults 27 and 28: entries that are no frame, and the same record twice."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.fixtures.foreign import Producer
from tests.fixtures.frames import frame, ndjson, span, started
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue.frame import MAX_BODY_BYTES, zstd

Fields = Mapping[bytes, bytes]
GOOD = span()
BOMB = zstd.compress(b" " * (2 * MAX_BODY_BYTES), 19)

ENTRIES: dict[str, tuple[str, Fields]] = {
    "of another program": ("undecodable", {b"job": b"42", b"payload": b"\x80\x04K*."}),
    "empty names": ("undecodable", {b"": b""}),
    "garbage": ("undecodable", frame(GOOD) | {b"body": bytes(range(256))}),
    "cut off": ("undecodable", frame(GOOD) | {b"body": frame(GOOD)[b"body"][:-5]}),
    "two bodies in one": ("undecodable", frame(GOOD) | {b"body": frame(GOOD)[b"body"] * 2}),
    "unknown encoding": ("undecodable", frame(GOOD) | {b"enc": b"brotli"}),
    "unknown version": ("unknown_version", frame(GOOD) | {b"v": b"2"}),
    "no number": ("undecodable", frame(GOOD) | {b"seq": b"-1"}),
    "wrong count": ("count", frame(GOOD) | {b"n": b"2"}),
    "hostile account": ("undecodable", frame(GOOD) | {b"acct": b'{"emitted": 1e999}'}),
    "description nested 100,000 deep": (
        "undecodable",
        frame(GOOD) | {b"meta": b'{"a":' * 100_000 + b"1" + b"}" * 100_000},
    ),
    "decompression bomb": ("too_large", frame(GOOD) | {b"body": BOMB}),
    "50 megabytes": ("too_large", {b"body": b"x" * 50_000_000}),
}


@pytest.mark.parametrize("name", ENTRIES)
async def test_an_entry_that_is_no_frame(site: Site, name: str) -> None:
    reason, fields = ENTRIES[name]
    producer = Producer(site.redis, site.prefix)
    await producer.send(span(), span())
    await producer.put(fields)
    await producer.send(span())
    await site.drain()
    (letter,) = await site.dead_letters()
    assert letter["reason"] == reason
    producer.note(span())
    await site.assert_account_closes(producer, dead=1)


async def test_all_of_them_while_a_bot_flows(site: Site) -> None:
    bot, stranger = site.bot(), Producer(site.redis, site.prefix)
    async with site.working() as report:
        async with bot.emitting():
            await eventually(lambda: report.frames)
            for _, fields in ENTRIES.values():
                stranger.note(span())
                await stranger.put(fields)
            await eventually(lambda: report.dead_letters == len(ENTRIES))
        await eventually(site.settled)
    await site.assert_account_closes(bot, stranger, dead=len(ENTRIES))


HOSTILE: list[Any] = [
    "\0", "\ud800", "x" * 100_000, "a\0b\ud800", "", "\x1b[31m", "\u202e", "\N{COLLISION SYMBOL}" * 300,
    "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-14:00", 5, -1, 1.5, 2**63 - 1, 2**70,
    float("nan"), True, None, [], {"a": "\0"},
]  # fmt: skip


def sayings(hostile: Any) -> Iterator[Fields]:
    """Frames that say this of themselves in every place: in the description, the account, the identities."""
    text = str(hostile).encode("utf-8", "surrogatepass")[:100]
    for name in ("service", "environment", "release", "host", "pid", "started_at", "other"):
        yield frame(span(), meta=json.dumps({name: hostile}).encode())
    for account in ({"emitted": hostile}, {"spooled": hostile}, {"lost": hostile}, {"lost": {str(hostile): 2**63 - 1}}):
        yield frame(span(), acct=json.dumps(account).encode())
    for event in (span(trace_id=hostile), span(span_id=hostile), started(trace_id=hostile), {"type": hostile}):
        yield frame(event)
        yield {b"body": ndjson(event)}
    yield frame(span(), retry=json.dumps([hostile]).encode())
    for name in (b"v", b"n", b"src", b"seq", b"enc"):
        yield frame(span()) | {name: text}


async def test_nothing_that_a_frame_says_of_itself_holds_the_worker(site: Site) -> None:
    """It ends in the ledger and among the emitters, whose refusal would be nobody's in particular."""
    producer = Producer(site.redis, site.prefix)
    sent = [fields for hostile in HOSTILE for fields in sayings(hostile)]
    for fields in sent:
        await producer.put(fields)
    report = await site.drain()
    assert (report.frames, report.rows + report.dead_letters >= report.frames) == (len(sent), True)
    assert await site.settled()


async def test_the_same_id_twice_in_a_batch(site: Site) -> None:
    """Within a frame, in two frames, and the frame itself delivered twice."""
    producer = Producer(site.redis, site.prefix)
    twice, thrice = span(output_data=[1]), span(output_data=[2])
    sent = await producer.send(twice, twice, thrice)
    await producer.send(thrice, span())
    await producer.put(sent)
    await producer.send(thrice)
    report = await site.drain()
    assert report.frames == 4
    await site.assert_account_closes(producer)


async def test_the_same_id_with_other_content_is_counted_and_the_first_stays(site: Site) -> None:
    producer = Producer(site.redis, site.prefix)
    first = span(output_data="first")
    await producer.send(first)
    await producer.put(frame(first | {"output_data": "second"}))
    report = await site.drain()
    assert report.span_conflicts == 1
    await site.assert_account_closes(producer)


async def test_the_same_ids_across_workers(site: Site) -> None:
    """Each frame is there twice, and its spans once more in another frame; four workers meet in ledger and keys."""
    producer = Producer(site.redis, site.prefix)
    for _ in range(60):
        spans = [span() for _ in range(5)]
        sent = await producer.send(*spans)
        await producer.put(sent)
        await producer.put({b"body": ndjson(*reversed(spans))})
    reports = await asyncio.gather(*(site.drain(consumer=f"worker-{number}", batch_rows=40) for number in range(4)))
    assert sum(report.frames for report in reports) == 180
    assert sum(report.span_conflicts for report in reports) == 0
    await site.assert_account_closes(producer)


async def test_a_number_used_twice_is_a_dead_letter_whoever_meets_it(site: Site) -> None:
    producer = Producer(site.redis, site.prefix)
    for _ in range(20):
        sent = await producer.send(span())
        producer.note(span())
        await producer.put(frame(span(), src=producer.src, seq=int(sent[b"seq"])))
    await asyncio.gather(*(site.drain(consumer=f"worker-{number}", batch_rows=2) for number in range(2)))
    assert [letter["reason"] for letter in await site.dead_letters()] == ["seq_conflict"] * 20
