"""The audit on real servers: it closes where nothing is lost, and names exactly what is."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from tests.fixtures.audits import Auditor, figures, frames, missing, silent
from tests.fixtures.frames import frame, span
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.servers import free_port
from tracequeue.keys import dead_key, events_key
from tracequeue.spool.records import FILE_HEAD, next_record
from tracequeue_worker.errors import Unreachable


async def test_it_closes_after_normal_work(site: Site, auditor: Auditor) -> None:
    assert (await auditor()).emitters == []
    bot = site.bot()
    await frames(bot, 4)
    await bot.stop()
    waiting = await auditor.one()
    assert (waiting.closes, figures(waiting)) == (True, (20, 0, 0, 0, 20, 0))
    assert waiting.emitter_id == UUID(bot.collector.identity.emitter_id)
    await site.drain()
    done = await auditor.one()
    assert (done.closes, done.why, figures(done)) == (True, [], (20, 20, 0, 0, 0, 0))


async def test_frames_that_a_worker_holds_are_in_flight(site: Site, auditor: Auditor) -> None:
    bot = site.bot()
    await frames(bot, 3)
    await site.drain()
    await frames(bot, 3)
    key = events_key(site.prefix, 0)
    await site.redis.xreadgroup("persist", "silent", {key: ">"}, count=2)
    await bot.stop()
    waiting = await auditor.one()
    assert (waiting.closes, figures(waiting)) == (True, (30, 15, 0, 0, 15, 0))


async def test_frames_that_are_committed_and_not_yet_settled_count_once(site: Site, auditor: Auditor) -> None:
    bot = site.bot()
    await frames(bot, 3)
    await bot.stop()
    await site.drain()
    await site.redis.xgroup_destroy(events_key(site.prefix, 0), "persist")
    again = await auditor.one()
    assert (again.closes, figures(again)) == (True, (15, 15, 0, 0, 0, 0))


async def test_it_closes_at_any_moment_while_everything_moves(site: Site, auditor: Auditor) -> None:
    bot = site.bot()
    async with bot.emitting(), site.working(batch_rows=20), site.working(batch_rows=20) as report:
        for round_number in range(1, 8):
            await eventually(lambda least=20 * round_number: report.frames > least)
            found = await auditor()
            assert found.closes, found
    await site.drain()
    assert (await auditor.one()).in_flight == 0


async def test_partitions_have_numbers_of_their_own(site: Site, auditor: Auditor) -> None:
    bot = site.bot(partitions=2)
    for _ in range(12):
        await frames(bot, 1)
    await bot.stop()
    keys = [events_key(site.prefix, partition) for partition in range(2)]
    numbers = [[int(fields[b"seq"]) for _, fields in await site.redis.xrange(key)] for key in keys]
    assert all(numbers)
    await site.redis.xtrim(keys[1], maxlen=1, approximate=False)
    await site.drain(partitions=2)
    (found,) = (await auditor(partitions=2)).emitters
    assert missing(found) == [(1, 1, len(numbers[1]) - 1)]


async def test_drops_are_in_the_account_by_reason(site: Site, auditor: Auditor) -> None:
    bot = site.bot(redis_url=f"redis://127.0.0.1:{free_port()}/0", buffer_bytes=1024 * 1024)
    bot.trace(spans=40, output="x" * 100_000)
    await bot.stop(timeout=0.2)
    stats = bot.collector.stats()
    assert stats.dropped
    account = {"emitted": stats.emitted, "lost": stats.dropped}
    last = frame(src=bot.collector.identity.emitter_id, acct=orjson.dumps(account))
    await site.redis.xadd(events_key(site.prefix, 0), last)
    await site.drain()
    found = await auditor.one()
    assert found.lost == stats.dropped
    assert (found.closes, found.in_flight) == (True, stats.emitted - sum(stats.dropped.values()))


async def test_dead_letters_are_in_the_account_and_stay_there_when_they_are_dropped(
    site: Site, auditor: Auditor
) -> None:
    src, key = uuid4().hex, events_key(site.prefix, 0)
    await site.redis.xadd(key, frame(span(), span(span_id="no"), src=src, acct=b'{"emitted":2,"lost":{}}'))
    whole = frame(span(), span(), src=src, seq=2, body=b"no zstd", acct=b'{"emitted":4,"lost":{}}')
    await site.redis.xadd(key, whole)
    await site.drain()
    await site.redis.delete(dead_key(site.prefix, 0))
    found = await auditor.one()
    assert (found.closes, figures(found)) == (True, (4, 1, 3, 0, 0, 0))


async def test_frames_without_an_emitter_are_one_account(site: Site, auditor: Auditor) -> None:
    key = events_key(site.prefix, 0)
    for number in range(3):
        await site.redis.xadd(key, {"body": orjson.dumps(span()) + b"\n" + orjson.dumps(span())})
        if number == 1:
            await site.drain()
    found = await auditor.one()
    assert (found.emitter_id, found.closes, figures(found)) == (None, True, (6, 4, 0, 0, 2, 0))


async def test_a_frame_that_was_sent_twice_counts_once(site: Site, auditor: Auditor) -> None:
    fields = frame(span())
    for _ in range(2):
        await site.redis.xadd(events_key(site.prefix, 0), fields)
    assert figures(await auditor.one()) == (1, 0, 0, 0, 1, 0)
    await site.drain()
    assert figures(await auditor.one()) == (1, 1, 0, 0, 0, 0)


async def test_what_lies_in_a_spool_folder_is_found_there(site: Site, auditor: Auditor, tmp_path: Path) -> None:
    bot = site.bot(redis_url=f"redis://127.0.0.1:{free_port()}/0", spool_dir=tmp_path)
    for _ in range(3):
        bot.trace()
    await bot.stop(timeout=0.2)
    assert bot.collector.stats().spooled == 15
    assert (await auditor()).emitters == []
    on_disk = await auditor.one(spool=tmp_path)
    assert (on_disk.closes, figures(on_disk)) == (True, (15, 0, 0, 15, 0, 0))

    *_, last = spooled(tmp_path)
    await site.redis.xadd(last.key, last.fields)
    await site.drain()
    elsewhere = await auditor.one()
    assert missing(elsewhere) == [(0, 1, last.seq - 1)]
    assert "look there with --spool DIR" in elsewhere.why[0]
    there = await auditor.one(spool=tmp_path)
    assert (there.closes, figures(there)) == (True, (15, last.events, 0, 15 - last.events, 0, 0))


def spooled(folder: Path) -> list[Any]:
    """The frames of the only segment in a folder."""
    (path,) = folder.glob("*.spool")
    fd, place, found = os.open(path, os.O_RDONLY), len(FILE_HEAD), []
    while record := next_record(fd, place):
        found.append(record.frame)
        place = record.end
    os.close(fd)
    return found


async def test_a_spool_that_is_not_there_is_an_error(auditor: Auditor, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"no-such-folder cannot be read: .*: check --spool"):
        await auditor(spool=tmp_path / "no-such-folder")


async def test_deployments_that_share_a_database_have_accounts_of_their_own(site: Site, auditor: Auditor) -> None:
    bot = site.bot()
    await frames(bot, 2)
    await site.drain()
    await frames(bot, 1)
    neighbour = Auditor(replace(site, prefix=f"{site.prefix}-neighbour"), auditor.pool)
    assert (await neighbour()).emitters == []
    await silent(site)
    assert (await auditor.one()).in_flight == 5


async def test_one_emitter_can_be_asked_for(site: Site, auditor: Auditor) -> None:
    sources = [uuid4(), uuid4()]
    for number, source in enumerate(sources):
        await site.redis.xadd(events_key(site.prefix, 0), frame(span(), src=source.hex))
        if number == 0:
            await site.drain()
    assert len((await auditor()).emitters) == 2
    for source in sources:
        found = await auditor.one(only=source)
        assert (found.emitter_id, found.closes) == (source, True)
    assert (await auditor(only=uuid4())).emitters == []


async def test_odd_frames_harm_nobody(site: Site, auditor: Auditor) -> None:
    key = events_key(site.prefix, 0)
    odd: list[dict[str, bytes]] = [
        {"n": b"99999999999999999999"}, {"n": b"-1"}, {"acct": b"[]"}, {"acct": b"{"}, {"meta": b"\xff"},
        {"meta": b"[1]"}, {"seq": b"9223372036854775807"}, {"seq": b"0"}, {"src": b"nobody"},
    ]  # fmt: skip
    for fields in odd:
        await site.redis.xadd(key, frame(span()) | {name.encode(): value for name, value in fields.items()})
    await site.redis.xadd(key, {"a": "b"}, id="18446744073709551614-1")
    assert len((await auditor()).emitters) >= len(odd) - 2
    await site.drain()
    assert len((await auditor()).emitters) >= len(odd) - 2
