"""Exports: the files hold what the servers hold, and a replay of them makes the same database again."""

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import asyncpg
import pytest
import redis
from redis.asyncio import Redis

from tests.fixtures.frames import ended, frame, ndjson, span, started
from tests.fixtures.history import lines
from tests.fixtures.oracle import Site
from tests.fixtures.postgres import database, outside_the_loop
from tracequeue.keys import events_key
from tracequeue_worker.bounds import Bounds
from tracequeue_worker.database import create_pool
from tracequeue_worker.history.rotation import Rotation
from tracequeue_worker.history.rows_export import RowsExport
from tracequeue_worker.history.stream_export import StreamExport
from tracequeue_worker.redis_client import command_client
from tracequeue_worker.replay.files import FileSource
from tracequeue_worker.replay.models import ReplayReport
from tracequeue_worker.replay.replayer import Replayer
from tracequeue_worker.replay.store import DatabaseStore
from tracequeue_worker.replay.target import Target
from tracequeue_worker.streams import Membership

COLUMNS = {
    "pipeline_spans": "trace_id, span_id, start_time, parent_span_id, span_name, kind, end_time, duration_ms, status, "
    "success, error, input_data, output_data, attributes, truncated",
    "pipeline_traces": "trace_id, start_time, pipeline_name, telegram_id, user_id, session_id, end_time, duration_ms, "
    "status, success, error, span_count, dropped, metadata, tags, parent, service, environment, release, emitter_id",
    "pipeline_frames": "emitter_id, partition, seq, digest, stream, entry_id, events, dead",
    "pipeline_conflicts": "emitter_id, partition, seq, digest, stream, entry_id, events",
    "pipeline_emitters": "emitter_id, service, environment, release, host, pid, started_at, last_seen, emitted, "
    "spooled, dropped, lost",
    "pipeline_settled": "emitter_id, partition, numbers, events, dead, stream",
}
LARGE = 10**12


@pytest.fixture
def target_url(postgres_url: str, templates: dict[str, str]) -> Iterator[str]:
    """Another database with all migrations applied."""
    with database(postgres_url, templates[postgres_url]) as url:
        yield url


async def content(url: str, *tables: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of tables, but for when they came."""
    connection = await asyncpg.connect(url)
    try:
        found = {name: await connection.fetch(f"SELECT {COLUMNS[name]} FROM {name}") for name in tables or COLUMNS}
    finally:
        await connection.close()
    return {name: sorted((tuple(row) for row in rows), key=repr) for name, rows in found.items()}


async def export_stream(
    site: Site, folder: Path, bounds: Bounds | None = None, most_bytes: int = LARGE
) -> tuple[list[Path], int]:
    """The files, and how many frames were left out."""
    settings = site.settings()
    files = Rotation(folder, most_bytes)
    async with command_client(settings.redis_url.get_secret_value()) as client:
        export = StreamExport(client, Membership.of(settings), bounds or Bounds(), files)
        await export.run()
    return [file.path for file in files.files], export.unsettled


async def export_rows(site: Site, files: Rotation, bounds: Bounds | None = None) -> list[Path]:
    pool = await create_pool(site.settings(), role="tracequeue_reader", size=1)
    try:
        await RowsExport(pool, bounds or Bounds(), files).run()
    finally:
        pool.terminate()
    return [file.path for file in files.files]


async def replay(site: Site, database_url: str, paths: list[Path]) -> ReplayReport:
    settings = site.settings(database_url=database_url)
    async with DatabaseStore.open(Target(settings, "--to")) as store:
        return await Replayer(FileSource.of(paths), store, settings).run()


async def add(redis: Redis, site: Site, fields: dict[bytes, bytes]) -> bytes:
    return await redis.xadd(events_key(site.prefix, 0), dict(fields))  # type: ignore[no-any-return, arg-type]


async def life(redis: Redis, site: Site) -> None:
    """A bot's traces, and whatever else a stream may hold, each of it settled."""
    bot = site.bot()
    bot.burst(20)
    bot.trace(output={"text": "Grüße 🙂", "number": 12345678901234567890, "small": 1e-7, "exact": 1.50})
    await bot.stop()
    trace = started(tags=["a", "b"], metadata={"k": [1, None]})
    twice = frame(span(), seq=5)
    for fields in (
        {b"body": ndjson(span(), trace)},
        {b"body": b"\xff\xfe"},
        {b"other": b"\x00"},
        frame(
            trace, ended(trace_id=trace["trace_id"], start_time=trace["start_time"], dropped={"queue_full": 1}), seq=1
        ),
        frame(span(), span(start_time="yesterday"), b"no json", seq=1),
        frame(span(), seq=3, v=b"9"),
        twice,
        twice,
        frame(span(), src=twice[b"src"].decode(), seq=5),
        frame(span(start_time=1_262_304_000_000_000), seq=1),
    ):
        await add(redis, site, fields)
    await site.drain()


async def test_the_exported_stream_makes_the_same_database(site: Site, target_url: str, tmp_path: Path) -> None:
    await life(site.redis, site)
    paths, left_out = await export_stream(site, tmp_path)
    assert (len(paths), left_out) == (1, 0)
    report = await replay(site, target_url, paths)
    assert report.finished
    assert all(day.equal for day in report.days)
    assert await content(target_url) == await content(site.database_url)


async def test_exported_rows_and_their_ledger_make_the_same_database(
    site: Site, target_url: str, tmp_path: Path
) -> None:
    await life(site.redis, site)
    await site.execute(
        "INSERT INTO pipeline_settled (emitter_id, partition, numbers, events, dead, stream) "
        "VALUES ('00000000-0000-0000-0000-000000000001', 0, '{[1,5),[7,9)}', 12, 1, 's')"
    )
    paths = await export_rows(site, Rotation(tmp_path, LARGE))
    assert [path.name.partition("-")[0] for path in paths] == ["rows", "ledger"]
    before = await content(site.database_url)
    report = await replay(site, target_url, paths[::-1])
    assert report.complete, report
    assert await content(target_url) == before
    again = await replay(site, target_url, paths)
    assert again.complete
    assert again.written == 0
    assert await content(target_url) == before
    assert await content(site.database_url) == before


async def test_rows_without_their_ledger_are_stored_too(site: Site, target_url: str, tmp_path: Path) -> None:
    await life(site.redis, site)
    rows, ledger = await export_rows(site, Rotation(tmp_path, LARGE))
    report = await replay(site, target_url, [rows])
    assert report.complete
    tables = ("pipeline_spans", "pipeline_traces")
    assert await content(target_url, *tables) == await content(site.database_url, *tables)
    assert await content(target_url, "pipeline_frames") == {"pipeline_frames": []}
    late = await replay(site, target_url, [ledger])
    assert not late.complete
    assert await content(target_url, "pipeline_frames") == {"pipeline_frames": []}


async def test_an_export_changes_nothing_in_redis_and_needs_no_right_to_write(site: Site, tmp_path: Path) -> None:
    await life(site.redis, site)
    key = events_key(site.prefix, 0)
    before = await site.redis.xinfo_stream(key, full=True), await site.redis.xinfo_groups(key)
    await export_stream(site, tmp_path)
    assert (await site.redis.xinfo_stream(key, full=True), await site.redis.xinfo_groups(key)) == before


async def test_frames_that_are_not_settled_are_left_out_and_counted(site: Site, tmp_path: Path) -> None:
    key, group = events_key(site.prefix, 0), "persist"
    for number in range(10):
        await add(site.redis, site, frame(span(), seq=number + 1))
    await site.redis.xgroup_create(key, group, "0")
    delivered = await site.redis.xreadgroup(group, "w", {key: ">"}, count=6)
    ids = [entry_id for entry_id, _ in delivered[0][1]]
    await site.redis.xack(key, group, *ids[:2], *ids[4:])
    paths, left_out = await export_stream(site, tmp_path)
    assert left_out == 6
    assert [line["entry"].encode() for line in lines(paths[0])[1:-1]] == [*ids[:2], *ids[4:]]


async def test_of_a_stream_that_nobody_has_read_nothing_is_exported(site: Site, tmp_path: Path) -> None:
    assert await export_stream(site, tmp_path) == ([], 0)
    await add(site.redis, site, frame(span()))
    assert await export_stream(site, tmp_path) == ([], 1)


async def test_bounds_take_frames_from_one_entry_to_before_another(site: Site, tmp_path: Path) -> None:
    ids = [(await add(site.redis, site, frame(span(), seq=number + 1))).decode() for number in range(6)]
    await site.drain()
    (path,), left_out = await export_stream(site, tmp_path, Bounds.parse(ids[1], ids[4]))
    head, *records, _ = lines(path)
    assert [record["entry"] for record in records] == ids[1:4]
    assert left_out == 0
    assert head["since"]
    assert head["until"]


async def test_bounds_take_rows_by_their_start_and_then_no_ledger(site: Site, tmp_path: Path) -> None:
    day = 86_400_000_000
    noon = 1_790_000_000_000_000
    await add(site.redis, site, frame(*(span(start_time=noon + number * day) for number in range(4))))
    await site.drain()
    (path,) = await export_rows(
        site, Rotation(tmp_path, LARGE), Bounds.parse("2026-09-22T12:00:00", "2026-09-24T12:00:00")
    )
    assert [line["span"]["start_time"] for line in lines(path)[1:-1]] == [noon + day, noon + 2 * day]


async def test_large_exports_are_cut_into_files_and_nothing_is_lost_between_them(
    site: Site, target_url: str, tmp_path: Path
) -> None:
    bot = site.bot()
    for _ in range(40):
        bot.trace(spans=20, output=token_hex(2_000))
    await bot.stop()
    await site.drain()
    frames, _ = await export_stream(site, tmp_path / "frames", most_bytes=20_000)
    rows = await export_rows(site, Rotation(tmp_path / "rows", 20_000))
    assert len(frames) > 2
    assert len(rows) > 3
    tables = ("pipeline_spans", "pipeline_traces", "pipeline_frames")
    before = await content(site.database_url, *tables)
    assert (await replay(site, target_url, frames)).complete
    assert await content(target_url, *tables) == before
    assert (await replay(site, target_url, rows)).complete
    assert await content(target_url, *tables) == before


class Disturbed(Rotation):
    """Once the first record is written, something else happens before the second."""

    def __init__(self, folder: Path, happening: Callable[[], Coroutine[Any, Any, None]]) -> None:
        super().__init__(folder, LARGE)
        self._happening = happening

    def add(self, *arguments: Any, **facts: Any) -> None:
        super().add(*arguments, **facts)
        if self.records == 1:
            outside_the_loop(self._happening())


async def test_rows_are_of_one_moment_whatever_is_written_meanwhile(
    site: Site, target_url: str, tmp_path: Path
) -> None:
    async def store_more() -> None:
        with redis.Redis.from_url(site.redis_url) as client:
            client.xadd(events_key(site.prefix, 0), dict(frame(*(span() for _ in range(500)))))  # type: ignore[arg-type]
        await site.drain()

    await add(site.redis, site, frame(*(span() for _ in range(500))))
    await site.drain()
    before = await content(site.database_url)
    files = Disturbed(tmp_path, store_more)
    paths = await export_rows(site, files)
    assert len(paths) == 2
    assert len((await content(site.database_url))["pipeline_spans"]) == 1000
    assert (await replay(site, target_url, paths)).complete
    assert await content(target_url) == before
