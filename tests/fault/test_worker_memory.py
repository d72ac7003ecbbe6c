"""Fault 6: a thousand entries of 1 MB. A worker holds what its settings say, not what waits for it."""

import secrets

from tests.fixtures.frames import frame, span
from tests.fixtures.oracle import LONGEST_SECONDS, Site
from tests.fixtures.polling import eventually
from tests.fixtures.worker_process import peak, worker_process
from tracequeue.keys import events_key
from tracequeue_worker.reader import REPLY_BYTES

ENTRIES, MEGABYTE = 1_000, 1_000_000
BATCH_BYTES = 4_000_000
ALLOWED = 8 * (REPLY_BYTES + 2 * BATCH_BYTES)
"""A reply, a batch that is written and one that is filled, each as it came and as it is decoded."""


async def test_a_thousand_entries_of_a_megabyte(site: Site) -> None:
    """Most of each is a field that nobody knows, so that it is not the store that is tested."""
    key, weight = events_key(site.prefix, 0), secrets.token_bytes(MEGABYTE)
    async with worker_process(site, TRACEQUEUE_BATCH_BYTES=str(BATCH_BYTES)) as worker:
        await site.redis.xadd(key, frame(span(), note=weight))
        await eventually(lambda: site.fetch("SELECT FROM pipeline_frames"))
        at_rest = peak(worker)
        for _ in range(ENTRIES):
            await site.redis.xadd(key, frame(span(), note=weight))
        await eventually(site.settled, LONGEST_SECONDS)
        assert peak(worker) < at_rest + ALLOWED
    assert len(await site.fetch("SELECT FROM pipeline_spans")) == ENTRIES + 1
    assert await site.dead_letters() == []
