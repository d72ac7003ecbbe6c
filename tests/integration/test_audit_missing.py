"""What the audit finds missing: which numbers of whom, and what was announced and never came."""

import os
import signal
import subprocess
import sys
from uuid import uuid4

from tests.fixtures.audits import Auditor, figures, frames, missing, silent
from tests.fixtures.frames import frame, span
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue.keys import events_key


async def test_a_killed_bot_leaves_no_gap_and_what_it_took_along_is_told(site: Site, auditor: Auditor) -> None:
    program = (
        "import tracequeue, itertools\n"
        "tracequeue.init_collector()\n"
        "for number in itertools.count():\n"
        "    with tracequeue.TraceContext('doomed'), tracequeue.span('step'): pass\n"
    )
    environment = os.environ | {
        "TRACEQUEUE_REDIS_URL": site.redis_url, "TRACEQUEUE_PREFIX": site.prefix, "TRACEQUEUE_LINGER_MS": "5",
    }  # fmt: skip
    bot = subprocess.Popen([sys.executable, "-c", program], env=environment)  # noqa: ASYNC220
    try:
        await eventually(lambda: _added(site, 5))
    finally:
        bot.send_signal(signal.SIGKILL)
        bot.wait()
    await site.drain()
    at_once = await auditor.one()
    assert (at_once.closes, at_once.missing) == (True, [])
    assert at_once.emitted == at_once.persisted + sum(at_once.lost.values()) + at_once.in_flight
    await silent(site)
    later = await auditor.one()
    assert later.missing == []
    assert later.unaccounted == at_once.in_flight
    assert later.closes == (later.unaccounted == 0)


async def _added(site: Site, frames: int) -> bool:
    return await site.redis.xlen(events_key(site.prefix, 0)) >= frames


async def test_what_an_emitter_announced_and_never_sent_is_told_once_it_is_silent(site: Site, auditor: Auditor) -> None:
    fields = frame(span(), span(), acct=b'{"emitted":12,"lost":{"buffer_full":3},"spooled":0}')
    await site.redis.xadd(events_key(site.prefix, 0), fields)
    await site.drain()
    alive = await auditor.one()
    assert (alive.closes, figures(alive)) == (True, (12, 2, 0, 0, 7, 0))
    await silent(site)
    dead = await auditor.one()
    assert (dead.closes, figures(dead)) == (False, (12, 2, 0, 0, 0, 7))
    (why,) = dead.why
    assert "went down with the process: 7" in why


async def test_unread_frames_that_somebody_trims_are_missing_exactly(site: Site, auditor: Auditor) -> None:
    bot = site.bot()
    await frames(bot, 3)
    await site.drain()
    await frames(bot, 5)
    assert await site.redis.xtrim(events_key(site.prefix, 0), maxlen=2, approximate=False) == 6
    await bot.stop()
    before = await auditor.one()
    assert missing(before) == [(0, 4, 6)]
    await site.drain()
    after = await auditor.one()
    assert (after.closes, missing(after), figures(after)) == (False, [(0, 4, 6)], (40, 25, 0, 0, 0, 15))
    (why,) = after.why
    assert why.startswith("frames missing: 3 (partition 0: 4-6), with at most 15 events: taken out of the stream")


async def test_one_deleted_frame_in_the_middle_is_missing(site: Site, auditor: Auditor) -> None:
    bot = site.bot()
    await frames(bot, 5)
    await bot.stop()
    key = events_key(site.prefix, 0)
    entries = await site.redis.xrange(key)
    assert await site.redis.xdel(key, entries[2][0]) == 1
    await site.drain()
    found = await auditor.one()
    assert (found.closes, missing(found), found.unaccounted) == (False, [(0, 3, 3)], 5)


async def test_a_flush_is_seen_by_what_comes_after_it(site: Site, auditor: Auditor) -> None:
    bot = site.bot()
    await frames(bot, 2)
    await site.drain()
    await frames(bot, 4)
    await site.redis.flushall()
    await frames(bot, 1)
    await bot.stop()
    await site.drain()
    found = await auditor.one()
    assert (found.closes, missing(found), found.unaccounted) == (False, [(0, 3, 6)], 20)


async def test_a_number_used_twice_does_not_close(site: Site, auditor: Auditor) -> None:
    src, key = uuid4().hex, events_key(site.prefix, 0)
    for emitted in (1, 2):
        fields = frame(span(), src=src, seq=1, acct=b'{"emitted":%d,"lost":{}}' % emitted)
        await site.redis.xadd(key, fields)
    await site.drain()
    found = await auditor.one()
    assert (found.closes, figures(found), found.conflicts) == (False, (2, 1, 1, 0, 0, 0), 1)
    assert "seq_conflict" in found.why[0]
    (conflict,) = await site.fetch("SELECT seq, events FROM pipeline_conflicts")
    assert tuple(conflict) == (1, 1)


async def test_more_than_was_announced_does_not_close(site: Site, auditor: Auditor) -> None:
    fields = frame(span(), span(), acct=b"{}")
    await site.redis.xadd(events_key(site.prefix, 0), fields)
    await site.drain()
    found = await auditor.one()
    assert (found.closes, found.unaccounted) == (False, -2)
    assert "`acct`" in found.why[0]


async def test_what_workers_saw_disappear_is_told(site: Site, auditor: Auditor) -> None:
    for frames_lost in (3, 4):
        await site.fetch(
            "INSERT INTO pipeline_losses (stream, reason, frames, worker) VALUES ($1, 'unread', $2, 'w')",
            events_key(site.prefix, 0),
            frames_lost,
        )
    found = await auditor()
    assert not found.closes
    assert [(loss.reason, loss.frames) for loss in found.losses] == [("unread", 7)]
    assert (await auditor(only=uuid4())).closes
