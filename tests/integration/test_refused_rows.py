"""One record that Postgres refuses harms only itself."""

import random
from dataclasses import replace

import pytest

from tests.fixtures.decoded import decoded, ended_row, indexes, span_row, started_row
from tracequeue_worker.breaker import Breaker

NUL = '{"text": "\\u0000"}'


POISON = {
    "nul in jsonb": (span_row(input_data=NUL), "store:22P05"),
    "nul in text": (span_row(error="a\0b"), "store:22021"),
    "nan in jsonb": (span_row(output_data='{"x": NaN}'), "store:22P02"),
    "no json": (span_row(attributes="{"), "store:22P02"),
    "nested too deep": (span_row(input_data="[" * 100_000 + "]" * 100_000), "store:54001"),
    "year 10000": (span_row(end_time=253_402_300_800_000_000), "store:23514"),
    "no name": (span_row(span_name=None), "store:23502"),
    "unknown status": (span_row(status="fine"), "store:23514"),
    "lone surrogate": (span_row(error="\ud800"), "encoding"),
    "overflow": (span_row(end_time=2**70), "encoding"),
    "wrong type": (span_row(duration_ms="long"), "encoding"),
    "no uuid": (span_row(trace_id="zzz"), "encoding"),
    "trace: nul": (ended_row(metadata=NUL), "store:22P05"),
    "trace: surrogate in a tag": (started_row(tags=["\ud800"]), "encoding"),
    "trace: overflow": (started_row(telegram_id=2**63), "encoding"),
}


@pytest.mark.parametrize("name", POISON)
@pytest.mark.parametrize("place", ["alone", "first", "middle", "last"])
async def test_a_refused_row_is_one_rejection_and_its_neighbours_are_stored(sink, database, name, place):
    bad, reason = POISON[name]
    before = {"alone": 0, "first": 0, "middle": 3, "last": 6}[place]
    after = {"alone": 0, "first": 6, "middle": 3, "last": 0}[place]
    rows = [*(span_row() for _ in range(before)), bad, *(span_row() for _ in range(after))]
    neighbours = decoded(span_row(), ended_row())
    stored = await sink.write([neighbours, decoded(*rows), decoded(span_row())])
    assert [(one.index, one.reason) for one in stored[1].rejections] == [(before, reason)]
    assert stored[0].rejections == stored[2].rejections == []
    assert len(stored[1].rejections[0].error) < 400
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == before + after + 2
    assert await database.fetchval("SELECT count(*) FROM pipeline_traces") == 1
    assert (
        await database.fetchval(
            "SELECT jsonb_path_query_array(dead, '$[*].index') FROM pipeline_frames WHERE dead <> '[]'"
        )
        == f"[{before}]"
    )


async def test_a_frame_of_nothing_but_refused_rows(sink, database):
    frame = decoded(*(span_row(input_data=NUL) for _ in range(40)), *(ended_row(metadata=NUL) for _ in range(10)))
    (stored,) = await sink.write([frame])
    assert indexes(stored.rejections) == list(range(50))
    (again,) = await sink.write([frame])
    assert (indexes(again.rejections), again.known) == (list(range(50)), True)
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 0


async def test_refused_rows_all_over_a_batch(sink, database):
    chance = random.Random(5)
    kinds = [row for row, _ in POISON.values()] + [None] * 40
    frames = []
    for _ in range(6):
        rows = [chance.choice(kinds) or span_row() for _ in range(60)]
        frames.append(decoded(*(row._replace(line=line) for line, row in enumerate(rows))))
    stored = await sink.write(frames)
    for one in stored:
        rows = sorted([*one.frame.spans, *one.frame.traces], key=lambda row: row.line)
        refused = [row.line for row in rows if any(row[1:] == kind[1:] for kind, _ in POISON.values())]
        assert indexes(one.rejections) == refused
    good = sum(one.frame.rows - len(one.rejections) for one in stored)
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == good


async def test_an_error_without_a_line_is_found_by_halves(sink, database):
    await database.execute("ALTER TABLE pipeline_spans ADD CONSTRAINT no_bad_names CHECK (span_name <> 'bad')")
    await database.execute("ALTER TABLE pipeline_traces ADD CONSTRAINT no_bad_names CHECK (pipeline_name <> 'bad')")
    spans = [span_row(span_name="bad" if line in (0, 7, 30) else "good") for line in range(31)]
    traces = [ended_row(pipeline_name="bad" if line == 2 else "good") for line in range(4)]
    (stored,) = await sink.write([decoded(*spans, *traces)])
    assert [(one.index, one.reason) for one in stored.rejections] == [(line, "store:23514") for line in (0, 7, 30, 33)]


async def test_the_contents_of_a_refused_row_are_in_no_error(sink):
    secret = "the user's secret"
    frames = [
        decoded(span_row(input_data=f'{{"a": "{secret}\\u0000"}}')),
        decoded(span_row(input_data=f'{{"a": "{secret}"')),
        decoded(span_row(error=secret, span_name=None)),
    ]
    stored = await sink.write(frames)
    assert all(one.rejections for one in stored)
    assert secret not in repr([one.rejections for one in stored])


async def test_frames_that_are_stored_already_are_not_judged_again(sink, database):
    """A worker died between the commit and the acknowledgement: their dead letters are owed, however many they are."""
    frames = [decoded(*(span_row(input_data=NUL) for _ in range(60))) for _ in range(4)]
    await sink.write(frames)
    again = await sink.write([*frames, decoded(span_row())], Breaker().left_out)
    assert [(one.known, len(one.rejections)) for one in again] == [(True, 60)] * 4 + [(False, 0)]


async def test_frames_that_are_to_be_held_are_left_out_and_nothing_of_them_is_stored(sink, database):
    frames = [decoded(*(span_row(input_data=NUL) for _ in range(60)), span_row()) for _ in range(2)]
    held = [replace(frames[0], seq=number, entry=decoded().entry) for number in (2, 3)]
    stored = await sink.write([*frames, *held], lambda given: [number for number in (2, 3) if number < len(given)])
    assert [one.frame for one in stored] == frames
    assert [len(one.rejections) for one in stored] == [60, 60]
    assert await database.fetchval("SELECT count(*) FROM pipeline_frames") == 2
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 2
