"""The dead letters as a source, on fakeredis: XADD and XRANGE without blocking are faithful there."""

from collections.abc import AsyncIterator

import pytest
from fakeredis import FakeAsyncRedis

from tests.fixtures.frames import entry, frame, span
from tracequeue_worker.bounds import Bounds, Edge
from tracequeue_worker.dead_letters.fields import dead_letters
from tracequeue_worker.dead_letters.reader import PAGE
from tracequeue_worker.decoder import Decoder, TimeWindow
from tracequeue_worker.records import DecodedFrame, Entry
from tracequeue_worker.replay.dead_letters import DeadLetterSource
from tracequeue_worker.replay.source import Taken
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership

DECODER = Decoder(TimeWindow.of(WorkerSettings()))
URL = "redis://user:secret@cache:6380/2"


@pytest.fixture
async def client() -> AsyncIterator[FakeAsyncRedis]:
    async with FakeAsyncRedis() as made:
        yield made


def source(client: FakeAsyncRedis, bounds: Bounds = Bounds(), partitions: int = 1) -> DeadLetterSource:  # noqa: B008
    return DeadLetterSource(client, URL, Membership.of(WorkerSettings.load(partitions=partitions)), bounds)


async def refuse(client: FakeAsyncRedis, refused: Entry, partition: int = 0) -> DecodedFrame:
    """Make dead letters of what the decoder refuses of an entry."""
    frame = DECODER.decode(refused)
    for letter in dead_letters(frame, frame.rejections, "w1"):
        await client.xadd(f"{{tracequeue:{partition}}}:dead", letter)
    return frame


async def taken(letters: DeadLetterSource, after: str | None = None) -> list[Taken]:
    return [taken for part in await letters.parts() for taken in [one async for one in letters.read(part, after)]]


async def test_a_refused_event_comes_as_a_retry_of_its_line(client: FakeAsyncRedis) -> None:
    fields = frame(span(), span(span_id="short"), span(), seq=7)
    whole = await refuse(client, entry(fields, b"1793491200000-4"))
    letters = source(client)
    (part,) = await letters.parts()
    assert (part.key, part.size) == ("{tracequeue:0}:dead", 1)
    (one,) = await taken(letters)
    assert isinstance(one.content, Entry)
    assert (one.content.stream, one.content.id) == (b"{tracequeue:0}:events", b"1793491200000-4")
    again = DECODER.decode(one.content)
    assert (again.emitter_id, again.seq, again.retry) == (whole.emitter_id, 7, {1})
    assert await letters.shortfalls() == []


async def test_frames_without_an_emitter_and_unreadable_ones_keep_their_identity(client: FakeAsyncRedis) -> None:
    nameless = await refuse(client, entry({b"body": b"[]\n"}, b"5-1"))
    unreadable = await refuse(client, entry(frame(span()) | {b"v": b"99"}, b"6-1"))
    frames = [DECODER.decode(one.content) for one in await taken(source(client)) if isinstance(one.content, Entry)]
    assert [one.emitter_id for one in frames] == [nameless.emitter_id, unreadable.emitter_id]
    assert frames[0].anonymous
    assert all(one.retry for one in frames[:1])


async def test_it_goes_on_behind_a_letter_and_ends_where_the_replay_began(client: FakeAsyncRedis) -> None:
    for seq in range(1, PAGE + 4):
        await refuse(client, entry(frame(b"[]", seq=seq)))
    letters = source(client)
    first = await taken(letters)
    assert len(first) == PAGE + 3
    await refuse(client, entry(frame(b"[]", seq=999)))
    assert await taken(letters, first[PAGE].position) == first[PAGE + 1 :]
    assert len(await taken(source(client))) == PAGE + 4
    assert await client.xlen("{tracequeue:0}:dead") == PAGE + 4


async def test_partitions_are_parts(client: FakeAsyncRedis) -> None:
    for partition in (0, 1, 1):
        await refuse(client, entry(frame(b"[]")), partition)
    letters = source(client, partitions=3)
    assert [part.size for part in await letters.parts()] == [1, 2, 0]
    contents = [one.content for one in await taken(letters)]
    assert [one.partition for one in contents if isinstance(one, Entry)] == [0, 1, 1]


async def test_bounds_are_of_the_entry_that_was_refused(client: FakeAsyncRedis) -> None:
    for entry_id in (b"1793491200000-0", b"1793491200001-0", b"1793491200002-0"):
        await refuse(client, entry(frame(b"[]"), entry_id))
    await client.xadd("{tracequeue:0}:dead", {"reason": "schema", "raw": "[]", "size": 2, "index": 0, "resendable": 1})
    letters = source(client, Bounds(Edge.parse("1793491200001"), Edge.parse("1793491200002")))
    (one,) = await taken(letters)
    assert isinstance(one.content, Entry)
    assert (one.content.id, one.size) == (b"1793491200001-0", 2)


async def test_a_letter_that_names_no_entry_counts_by_its_own_id(client: FakeAsyncRedis) -> None:
    for entry_id in ("", "1-", "\u0661\u0662\u0663-\u0660"):  # the last are digits too, of another script
        facts = {"reason": "schema", "raw": "[]", "size": 2, "index": 0, "resendable": 1, "entry": entry_id}
        await client.xadd("{tracequeue:0}:dead", facts)
    found = await taken(source(client))
    assert [one.content.id.decode() for one in found if isinstance(one.content, Entry)] == [
        one.position for one in found
    ]
    assert len(found) == 3


async def test_letters_that_cannot_be_tried_again_are_counted_with_their_sentence(client: FakeAsyncRedis) -> None:
    letter = {"reason": "seq_conflict", "raw": "[]", "resendable": 1, "entry": "1793491200000-0"}
    for _ in range(2):
        await client.xadd("{tracequeue:0}:dead", letter)
    await client.xadd("{tracequeue:0}:dead", letter | {"reason": "too_large", "resendable": 0})
    letters = source(client)
    assert await taken(letters) == []
    conflicts, too_large = await letters.shortfalls()
    assert conflicts.startswith("2 dead letters cannot be replayed: another frame is stored under its number")
    assert too_large.startswith("1 dead letter cannot be replayed: it does not hold all of the original")
    outside = source(client, Bounds(until=Edge.parse("1793491200000")))
    assert await taken(outside) == []
    assert await outside.shortfalls() == []


def test_the_name_tells_no_password(client: FakeAsyncRedis) -> None:
    assert source(client).name == "dead letters of tracequeue in Redis at cache:6380/2"
