"""Dead letters that are retried: exactly those events are stored."""

from dataclasses import replace

import asyncpg

from tests.fixtures.decoded import decoded, entry, indexes, span_row
from tracequeue_worker.records import Rejection

NUL = '{"text": "\\u0000"}'


async def span_ids(database: asyncpg.Connection) -> set[str]:
    return {row["span_id"] for row in await database.fetch("SELECT span_id FROM pipeline_spans")}


async def test_a_retried_event_leaves_the_dead_and_is_stored(sink, database):
    first = decoded(span_row(input_data=NUL), span_row(), span_row(input_data=NUL))
    await sink.write([first])
    mended = replace(
        first, spans=[row._replace(input_data="{}") for row in first.spans], retry=frozenset({0}), entry=entry()
    )
    (stored,) = await sink.write([mended])
    assert (stored.rejections, stored.known) == ([], False)
    assert await span_ids(database) == {first.spans[0].span_id, first.spans[1].span_id}
    assert await database.fetchval("SELECT jsonb_path_query_array(dead, '$[*].index') FROM pipeline_frames") == "[2]"
    (again,) = await sink.write([mended])
    assert (again.rejections, again.known) == ([], True)


async def test_an_event_that_is_refused_again_stays_dead_with_the_new_reason(sink, database):
    frame = decoded(span_row(), rejections=[Rejection(1, "schema", "old")], events=2)
    await sink.write([frame])
    retried = replace(frame, rejections=[Rejection(1, "time_range", "new")], retry=frozenset({1}))
    for _ in range(2):
        (stored,) = await sink.write([retried])
        assert stored.rejections == [Rejection(1, "time_range", "new")]
    assert (
        await database.fetchval("SELECT dead FROM pipeline_frames")
        == '[{"error": "new", "index": 1, "reason": "time_range"}]'
    )


async def test_a_retried_frame_that_was_dead_as_a_whole(sink, database):
    frame = decoded(rejections=[Rejection(None, "unknown_version", "v9")], events=2)
    await sink.write([frame])
    retried = decoded(
        span_row(), span_row(input_data=NUL), emitter_id=frame.emitter_id, retry=frozenset({0, 1}), entry=entry()
    )
    (stored,) = await sink.write([retried])
    assert indexes(stored.rejections) == [1]
    assert await database.fetchval("SELECT jsonb_path_query_array(dead, '$[*].index') FROM pipeline_frames") == "[1]"


async def test_a_retry_into_another_database_does_not_hide_the_whole_frame(sink, database):
    whole = decoded(span_row(), span_row())
    await sink.write([replace(whole, retry=frozenset({1}))])
    assert await span_ids(database) == {whole.spans[1].span_id}
    (stored,) = await sink.write([whole])
    assert not stored.known
    assert await database.fetchval("SELECT count(*) FROM pipeline_spans") == 2
