"""A backlog of 200,000 spans and two worker processes: every row is there once, and both had a share."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
import redis

from tests.fixtures.command import Command
from tests.fixtures.polling import eventually
from tests.fixtures.spans import Backlog
from tracequeue.keys import dead_key, events_key

SPANS = 200_000


async def test_two_workers_drain_200_000_spans(
    command: Command, redis_url: str, prefix: str, migrated_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    backlog = Backlog(SPANS)
    frames = backlog.send(redis_url, prefix)
    async with held_back(migrated_database_url):
        workers = [command.start("worker", "--drain", "--json", "--consumer", name) for name in ("one", "two")]
        await eventually(lambda: len(holders(redis_url, prefix)) == 2)
    began = time.monotonic()
    spoken = await asyncio.gather(*(asyncio.to_thread(worker.communicate) for worker in workers))
    seconds = time.monotonic() - began
    assert [worker.returncode for worker in workers] == [0, 0], spoken
    reports = [json.loads(out) for out, _ in spoken]

    assert all(report["rows"] > 0 for report in reports)
    assert sum(report["rows"] for report in reports) == SPANS
    assert sum(report["dead_letters"] + report["unfinished"] + report["conflicts"] for report in reports) == 0
    await backlog.assert_stored_once(migrated_database_url, traces=frames)
    status = command("status", "--json").document
    (partition,) = status["partitions"]
    assert (partition["unread"], partition["pending"], partition["dead_letters"]) == (0, 0, 0)
    (account,) = status["emitters"]
    assert (account["emitted"], account["persisted"], account["in_flight"]) == (SPANS, SPANS, 0)
    with redis.Redis.from_url(redis_url) as client:
        assert client.xinfo_consumers(events_key(prefix, 0), "persist") == []
        assert not client.exists(dead_key(prefix, 0))
    shares = " and ".join(f"{report['rows']:,}" for report in reports)
    with capsys.disabled():
        sys.stdout.write(f"\n{SPANS:,} spans in {seconds:.1f} s: {SPANS / seconds:,.0f} spans/s; shares {shares}\n")


@asynccontextmanager
async def held_back(database_url: str) -> AsyncIterator[None]:
    """No worker can write until the block is left: so that both have read before either is done."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE pipeline_frames IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


def holders(redis_url: str, prefix: str) -> list[bytes]:
    """The consumers that have frames in their hands."""
    with redis.Redis.from_url(redis_url) as client:
        if not client.xinfo_groups(events_key(prefix, 0)):
            return []
        consumers = client.xinfo_consumers(events_key(prefix, 0), "persist")
    return [one["name"] for one in consumers if one["pending"]]
