"""Files as the source of a replay: each read once, from any position, within bounds, and never more than is true."""

import io
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.fixtures.frames import entry, frame, span
from tests.fixtures.history import frames_file
from tracequeue_worker.bounds import Bounds
from tracequeue_worker.errors import Damaged
from tracequeue_worker.history.blocks import compressed
from tracequeue_worker.history.file_format import Header
from tracequeue_worker.history.writer import HistoryWriter
from tracequeue_worker.records import DAY, DecodedFrame, Entry
from tracequeue_worker.replay.bookkeeping import Bookkeeping
from tracequeue_worker.replay.files import NO_EMITTER, FileSource
from tracequeue_worker.replay.source import Part, Taken

NOON = 1_790_000_000_000_000
EMITTER = str(uuid4())
SPAN: dict[str, Any] = {
    "trace_id": str(uuid4()), "span_id": "0123456789abcdef", "span_name": "a", "start_time": NOON, "end_time": NOON + 5,
    "duration_ms": 0.005, "status": "ok", "success": True, "input_data": '{"a":1.50}',
}  # fmt: skip
TRACE: dict[str, Any] = {
    "trace_id": str(uuid4()), "start_time": NOON, "pipeline_name": "p", "service": "bot", "emitter_id": EMITTER,
}  # fmt: skip


def entries(count: int, first: int = 1_790_000_000_000) -> list[Entry]:
    return [entry(frame(span(), seq=number + 1), b"%d-0" % (first + number)) for number in range(count)]


def made(folder: Path, header: Header, *records: dict[str, Any]) -> Path:
    writer = HistoryWriter.create(folder, header, NOON)
    for record in records:
        writer.append(orjson.dumps(record) + b"\n", events=1, at=NOON)
    return writer.finish()


def rows(folder: Path, *records: dict[str, Any]) -> Path:
    return made(folder, Header(tracequeue="rows", source=["database test"]), *records)


async def taken(
    source: FileSource, part: Part, after: str | None = None, into: list[Taken] | None = None
) -> list[Taken]:
    """What is read; in `into` also what was read before it raises."""
    found = [] if into is None else into
    async for one in source.read(part, after):
        found.append(one)
    return found


async def contents(source: FileSource) -> list[Any]:
    return [one.content for part in await source.parts() for one in await taken(source, part)]


async def ids(paths: Sequence[Path], **bounds: str | None) -> list[bytes]:
    given = {"since": None, "until": None} | bounds
    return [one.id for one in await contents(FileSource.of(paths, Bounds.parse(**given)))]


async def test_frames_come_as_they_were_delivered(tmp_path):
    original = [entry(frame(span(), seq=1), b"5-1", b"{a:3}:events"), entry({b"body": b"\xff"}, b"6-0")]
    first, second = await contents(FileSource.of([frames_file(tmp_path, original)]))
    assert first.place == original[0].place
    assert second == original[1]


async def test_any_position_is_gone_on_from(tmp_path):
    source = FileSource.of([frames_file(tmp_path, entries(10), each=3)])
    (part,) = await source.parts()
    everything = await taken(source, part)
    assert [one.content.id for one in everything] == [one.id for one in entries(10)]
    positions = [number for number, one in enumerate(everything) if one.position is not None]
    assert positions == [2, 5, 8, 9]
    assert part.size is not None
    assert 0 < sum(one.size for one in everything) <= part.size
    for number in positions:
        rest = await taken(source, part, everything[number].position)
        assert [one.content.id for one in rest] == [one.content.id for one in everything[number + 1 :]]


async def test_a_moved_file_and_a_copy_are_the_same(tmp_path):
    one, other = frames_file(tmp_path, entries(3)), frames_file(tmp_path, entries(2))
    copy = Path(shutil.copy(one, tmp_path / "elsewhere"))
    assert FileSource.of([one, other]).name == FileSource.of([other, copy, one]).name
    assert FileSource.of([one]).name != FileSource.of([other]).name
    assert len(await FileSource.of([one, copy]).parts()) == 1
    assert await FileSource.of([one]).parts() == await FileSource.of([copy]).parts()


async def test_bounds_of_frames_are_of_their_entries(tmp_path):
    path = frames_file(tmp_path, entries(5), each=2)
    assert await ids([path], since="1790000000001-0", until="1790000000003-0") == [
        b"1790000000001-0",
        b"1790000000002-0",
    ]
    assert await ids([path], since="1790000000003") == [b"1790000000003-0", b"1790000000004-0"]
    assert await ids([path], until="2020-01-01") == []


async def test_bounds_of_rows_are_of_their_start(tmp_path):
    path = rows(tmp_path, *({"span": SPAN | {"start_time": NOON + number * DAY}} for number in range(4)))
    source = FileSource.of([path], Bounds.parse("2026-09-22", "2026-09-24"))
    starts = [row.start_time for one in await contents(source) for row in one.spans]
    assert starts == [NOON + DAY, NOON + 2 * DAY]


async def test_rows_come_as_frames_of_which_every_line_is_retried(tmp_path):
    other = {**TRACE, "emitter_id": None, "service": None, "status": "ok"}
    source = FileSource.of([rows(tmp_path, {"trace": TRACE}, {"span": SPAN}, {"trace": other}, {"trace": TRACE})])
    found: list[DecodedFrame] = await contents(source)
    by_producer = {(one.emitter_id, one.anonymous): one for one in found}
    assert by_producer.keys() == {(NO_EMITTER, True), (found[0].emitter_id, False)}
    sent = by_producer[found[0].emitter_id, False]
    assert str(sent.emitter_id) == EMITTER
    assert sent.meta["service"] == "bot"
    assert [row.pipeline_name for row in sent.traces] == ["p", "p"]
    for one in found:
        lines = [row.line for row in (*one.spans, *one.traces)]
        assert sorted(lines) == list(range(one.events))
        assert one.retry == frozenset(lines)
    assert [row.input_data for row in by_producer[NO_EMITTER, True].spans] == ['{"a":1.50}']


@pytest.mark.parametrize(
    "lie",
    [
        {"trace_id": "no"}, {"trace_id": 5}, {"start_time": "2026-01-01"}, {"start_time": 2**63}, {"start_time": None},
        {"start_time": 1.5}, {"end_time": -(10**18)}, {"status": "fine"}, {"success": 1}, {"span_name": None},
        {"input_data": {"a": 1}}, {"unknown": 1}, {"duration_ms": "1"},
    ],
)  # fmt: skip
async def test_rows_that_lie_are_refused_and_what_is_before_them_is_not(tmp_path, lie):
    path = rows(tmp_path, {"span": SPAN | lie})
    whole = frames_file(tmp_path, entries(2))
    source = FileSource.of([whole, path])
    first, second = await source.parts()
    assert len(await taken(source, first)) == 2
    with pytest.raises(Damaged, match=r"docs/files.md"):
        await taken(source, second)


@pytest.mark.parametrize(
    "record", [{}, {"picture": {}}, {"span": []}, {"trace": None}, {"left": 1, "span": SPAN | {"x": 1}}]
)
async def test_lines_of_another_kind_are_refused(tmp_path, record):
    source = FileSource.of([rows(tmp_path, record)])
    with pytest.raises(Damaged):
        await contents(source)


async def test_a_ledger_comes_behind_all_rows(tmp_path):
    path = rows(tmp_path, {"span": SPAN})
    head = FileSource.of([path])._files
    ledger = made(
        tmp_path, Header(tracequeue="ledger", source=["database test"], rows=list(head)),
        {"frame": {"seq": 1}}, {"settled": {"a": 1}}, {"conflict": {"b": 2}}, {"emitter": {"c": 3}},
        {"frame": {"seq": 2}},
    )  # fmt: skip
    first, last = await contents(FileSource.of([ledger, path]))
    assert isinstance(first, DecodedFrame)
    assert last == Bookkeeping([{"seq": 1}, {"seq": 2}], [{"a": 1}], [{"c": 3}], [{"b": 2}])


async def test_a_ledger_without_its_rows_is_not_read_and_that_is_said(tmp_path):
    missing = uuid4()
    ledger = made(tmp_path, Header(tracequeue="ledger", source=["x"], rows=[missing]), {"frame": {"seq": 1}})
    source = FileSource.of([ledger])
    assert await contents(source) == []
    (sentence,) = await source.shortfalls()
    assert missing.hex[:12] in sentence
    assert str(ledger) in sentence


async def test_a_ledger_is_not_read_where_only_some_rows_are_wanted(tmp_path):
    ledger = made(tmp_path, Header(tracequeue="ledger", source=["x"], rows=[]), {"frame": {"seq": 1}})
    source = FileSource.of([ledger], Bounds.parse("2020-01-01", None))
    assert await contents(source) == []
    assert await source.shortfalls() == []


@pytest.mark.parametrize("record", [{"frame": 5}, {"frames": {}}, {"frame": {}, "settled": {}}, {}])
async def test_a_ledger_that_lies_is_refused(tmp_path, record):
    ledger = made(tmp_path, Header(tracequeue="ledger", source=["x"], rows=[]), record)
    with pytest.raises(Damaged):
        await contents(FileSource.of([ledger]))


async def test_what_was_too_long_for_a_file_is_told(tmp_path):
    path = rows(tmp_path, {"left_out": "a span of 99 bytes", "span_id": "x"}, {"span": SPAN})
    source = FileSource.of([path])
    assert len(await contents(source)) == 1
    (sentence,) = await source.shortfalls()
    assert "a span of 99 bytes" in sentence


async def test_standard_input_is_read_like_any_file(tmp_path, monkeypatch):
    path = frames_file(tmp_path, entries(7), each=2)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(path.read_bytes())))
    piped, named = FileSource.of([Path("-")]), FileSource.of([path])
    assert piped.name == named.name
    assert await piped.parts() == await named.parts()
    assert await contents(piped) == await contents(named)


async def test_a_damaged_file_gives_what_is_whole_and_goes_on_when_it_is_mended(tmp_path):
    path = frames_file(tmp_path, entries(9), each=3)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    source = FileSource.of([path])
    (part,) = await source.parts()
    found: list[Taken] = []
    with pytest.raises(Damaged, match="take a whole copy"):
        await taken(source, part, into=found)
    assert found
    path.write_bytes(whole)
    rest = await taken(source, part, found[-1].position)
    assert [one.content.id for one in (*found, *rest)] == [one.id for one in entries(9)]


@pytest.mark.parametrize("content", [b"", b"hello", compressed(b"{}\n")])
def test_what_is_no_file_of_history_is_refused_at_once(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(Damaged, match="x: "):
        FileSource.of([path])
