"""Faults 14, 15 and 16: somebody deletes entries that are unread or pending; each lost frame is counted, once."""

import json

import pytest
from redis.asyncio import Redis

from tests.fixtures.frames import frame, span
from tests.fixtures.oracle import LONGEST_SECONDS, Site
from tests.fixtures.polling import eventually
from tests.fixtures.probing import ask
from tests.fixtures.servers import free_port
from tracequeue.frame import unpack
from tracequeue.keys import events_key

BEHIND = "LOCK TABLE pipeline_frames IN ACCESS EXCLUSIVE MODE"
"""No worker can write meanwhile: it reads as far as it may, and the rest stays unread."""


async def trim_by_a_stranger(redis: Redis, key: str, maxlen: int) -> tuple[int, set[str]]:
    """What a careless XADD MAXLEN does: how many frames went that nobody had read, and which spans, in one step."""
    transaction = redis.pipeline(transaction=True)
    transaction.xrange(key)
    transaction.xinfo_groups(key)
    transaction.xtrim(key, maxlen=maxlen, approximate=False)
    transaction.xrange(key)
    before, (group,), _, after = await transaction.execute()
    delivered = _pair(group["last-delivered-id"])
    left = {entry_id for entry_id, _ in after}
    gone = [fields for entry_id, fields in before if entry_id not in left and _pair(entry_id) > delivered]
    return len(gone), {event["span_id"] for fields in gone for event in _events(fields) if event["type"] == "span"}


def _pair(entry_id: bytes) -> tuple[int, ...]:
    return tuple(int(part) for part in entry_id.split(b"-"))


def _events(fields: dict[bytes, bytes]) -> list[dict[str, str]]:
    return [json.loads(line) for line in unpack(fields).lines]


async def stored_spans(site: Site) -> set[str]:
    return {row["span_id"] for row in await site.fetch("SELECT span_id FROM pipeline_spans")}


async def recorded(site: Site) -> dict[str, int]:
    """What the store was told of losses."""
    rows = await site.fetch("SELECT reason, sum(frames)::bigint AS frames FROM pipeline_losses GROUP BY reason")
    return {row["reason"]: row["frames"] for row in rows}


async def send(redis: Redis, key: str, frames: int) -> set[str]:
    """Frames of one span each; which spans."""
    spans = [span() for _ in range(frames)]
    pipeline = redis.pipeline(transaction=False)
    for one in spans:
        pipeline.xadd(key, frame(one))
    await pipeline.execute()
    return {one["span_id"] for one in spans}


async def test_a_foreign_maxlen_trims_unread_frames(site: Site) -> None:
    """While the worker is behind: the exact count in its report, in the store and on its health page, which is red."""
    port, key = free_port(), events_key(site.prefix, 0)
    async with site.working(health_port=port, health_host="127.0.0.1", batch_rows=10) as report:
        sent = await send(site.redis, key, 20)
        await eventually(lambda: report.frames == 20)
        assert await eventually(lambda: ready(port))
        async with site.holding(BEHIND):
            sent |= await send(site.redis, key, 500)
            frames, spans = await trim_by_a_stranger(site.redis, key, 20)
            assert frames
            await eventually(lambda: report.lost_entries)
            reply = await ask(port, "/readyz")
            assert (reply.status, reply.reasons["keeping frames in Redis"]) == (503, "lost")
        sent |= await send(site.redis, key, 20)
        await eventually(site.settled, LONGEST_SECONDS)
    assert report.lost_entries == frames
    assert await recorded(site) == {"unread": frames}
    assert sent - await stored_spans(site) == spans


async def ready(port: int) -> bool:
    return (await ask(port, "/readyz")).status == 200


async def test_foreign_trims_while_workers_read(site: Site) -> None:
    """Again and again, in a race with the reads of two workers, and with our own trimming of what is settled."""
    key, frames, spans, sent = events_key(site.prefix, 0), 0, set[str](), set[str]()
    async with site.working(keep_stream_seconds=0) as one, site.working(keep_stream_seconds=0) as other:
        sent |= await send(site.redis, key, 10)
        await eventually(site.settled)
        for _ in range(60):
            sent |= await send(site.redis, key, 150)
            lost, named = await trim_by_a_stranger(site.redis, key, 100)
            frames += lost
            spans |= named
        await eventually(site.settled, LONGEST_SECONDS)
        await eventually(lambda: one.lost_entries + other.lost_entries >= frames)
    assert frames
    assert one.frames
    assert other.frames
    assert one.lost_entries + other.lost_entries == frames
    assert await recorded(site) == {"unread": frames}
    assert sent - await stored_spans(site) == spans


async def test_pending_entries_are_trimmed(site: Site) -> None:
    """Those of a dead worker, so many that whole pages of the sweep are empty: counted and purged, and it goes on."""
    key, redis = events_key(site.prefix, 0), site.redis
    sent = await send(redis, key, 1_000)
    await redis.xgroup_create(key, "persist", id="0")
    await redis.xreadgroup("persist", "dead-worker", {key: ">"}, count=1_000)
    _, spans = await trim_by_a_stranger(redis, key, 20)
    assert not spans
    sent |= await send(redis, key, 20)
    async with site.working() as report:
        await eventually(site.settled, LONGEST_SECONDS)
        await eventually(lambda: report.lost_entries)
    assert (report.vanished, report.lost_entries) == (980, 980)
    assert await recorded(site) == {"pending": 980}
    assert (await redis.xpending(key, "persist"))["pending"] == 0
    assert len(await stored_spans(site)) == len(sent) - 980


async def test_entries_in_a_workers_hands_are_trimmed(site: Site) -> None:
    """It has read them: they are stored all the same, however long that takes, and nothing is lost."""
    key = events_key(site.prefix, 0)
    async with site.working() as report:
        async with site.holding(BEHIND):
            sent = await send(site.redis, key, 40)
            await eventually(lambda: all_delivered(site, 40))
            await site.redis.xtrim(key, maxlen=0)
            renewed = await idle_of_the_oldest(site)
            await eventually(lambda: longer_pending(site, renewed + 1_000))
        await eventually(site.settled, LONGEST_SECONDS)
        await eventually(lambda: report.frames == 40)
    assert (report.vanished, report.lost_entries) == (0, 0)
    assert sent == await stored_spans(site)


async def all_delivered(site: Site, frames: int) -> bool:
    (backlog,) = await site.backlog()
    return (backlog.unread, backlog.pending) == (0, frames)


async def idle_of_the_oldest(site: Site) -> int:
    (item,) = await site.redis.xpending_range(events_key(site.prefix, 0), "persist", "-", "+", 1)
    return int(item["time_since_delivered"])


async def longer_pending(site: Site, milliseconds: int) -> bool:
    """Past the claim time: the lease was due several times meanwhile."""
    return await idle_of_the_oldest(site) > milliseconds


@pytest.mark.parametrize("deed", ["an unread entry deleted", "unread entries trimmed", "history trimmed"])
async def test_the_backlog_where_lag_is_null_or_wrong(site: Site, deed: str) -> None:
    """With a worker that lags, and after it: what `status` shows is what is there."""
    key, redis = events_key(site.prefix, 0), site.redis
    async with site.working(batch_rows=10, keep_stream_seconds=3_600) as report:
        await send(redis, key, 100)
        await eventually(lambda: report.frames == 100)
        async with site.holding(BEHIND):
            await send(redis, key, 500)
            ids = [entry_id for entry_id, _ in await redis.xrange(key)]
            if deed == "an unread entry deleted":
                await redis.xdel(key, ids[-5])
            elif deed == "unread entries trimmed":
                await redis.xtrim(key, minid=ids[-300], approximate=False)
            else:
                await redis.xtrim(key, minid=ids[50], approximate=False)
            await eventually(lambda: figure_is_right(site))
        await eventually(site.settled, LONGEST_SECONDS)
        await send(redis, key, 30)
        await eventually(site.settled, LONGEST_SECONDS)
    (backlog,) = await site.backlog()
    assert backlog.empty
    assert report.lost_entries == {"an unread entry deleted": 1, "history trimmed": 0}.get(deed, report.lost_entries)


async def figure_is_right(site: Site) -> bool:
    """Against a count of what is there; asked until the worker reads no further."""
    key = events_key(site.prefix, 0)
    transaction = site.redis.pipeline(transaction=True)
    transaction.xinfo_groups(key)
    transaction.xrange(key)
    (group,), entries = await transaction.execute()
    unread = [entry_id for entry_id, _ in entries if _pair(entry_id) > _pair(group["last-delivered-id"])]
    (backlog,) = await site.backlog()
    return bool(unread) and (backlog.unread, backlog.pending) == (len(unread), group["pending"])
