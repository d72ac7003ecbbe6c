"""Told once, though several processes watch, and some of them die, sleep or are restarted."""

import asyncio
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.fixtures.alerting import ADMIN, HOUR, MINUTE, Alerting
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxied
from tracequeue_worker.alerts.findings import Sight
from tracequeue_worker.alerts.shared import SharedMemory, memory_key

TIMEOUT = "TimeoutError: no answer in 30 s"
BOB = 43
HALTING = Path(__file__).with_name("halting_watchman.py")


async def test_processes_that_look_at_the_same_time_tell_once(alerting: Alerting) -> None:
    watches = [await alerting.process() for _ in range(5)]
    await alerting.ends("learn", errors=[TIMEOUT] * 9)
    await alerting.letters(3)
    for _ in range(5):
        alerting.now += MINUTE
        await asyncio.gather(*(watch.look() for watch in watches))
    assert len(alerting.ada.chat) == 1


async def test_processes_that_look_in_turn_tell_once_and_a_restarted_one_too(alerting: Alerting) -> None:
    await alerting.ends("learn", errors=[TIMEOUT] * 9)
    for _ in range(5):
        alerting.now += MINUTE
        await (await alerting.process()).look()
    assert len(alerting.ada.chat) == 1
    await alerting.ends("learn", ok=500)
    for _ in range(9):
        alerting.now += MINUTE
        await (await alerting.process()).look()
    assert [message.text[:6] for message in alerting.ada.chat] == ["🔴 lear", "🟢 Over"]


async def test_of_processes_with_other_chats_each_tells_its_own(alerting: Alerting) -> None:
    bob = alerting.telegram.person(BOB, "Bob")
    first, second = await alerting.process(chats=[ADMIN]), await alerting.process(chats=[ADMIN, BOB])
    await alerting.letters(3)
    for _ in range(3):
        alerting.now += MINUTE
        await asyncio.gather(first.look(), second.look())
    assert (len(alerting.ada.chat), len(bob.chat)) == (1, 1)


async def test_who_is_killed_before_it_sent_leaves_the_alert_to_another(alerting: Alerting) -> None:
    watch = await alerting.process()
    await alerting.letters(3)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HALTING), str(ADMIN), "2", stdout=asyncio.subprocess.PIPE,
        env=os.environ | {
            "TRACEQUEUE_REDIS_URL": alerting.settings.redis_url.get_secret_value(),
            "TRACEQUEUE_DATABASE_URL": alerting.settings.database_url.get_secret_value(),
            "TRACEQUEUE_PREFIX": alerting.settings.prefix,
        },
    )  # fmt: skip
    assert process.stdout is not None
    assert (await process.stdout.readline()).decode() == f"{ADMIN} 🔴 <b>New dead letters</b>\n"
    process.kill()
    await process.wait()

    async def told() -> bool:
        alerting.now += MINUTE
        await watch.look()
        return bool(alerting.ada.chat)

    await eventually(told)
    assert await alerting.looks(5) == []
    assert "schema: 3," in alerting.ada.chat[0].text


async def test_while_another_process_has_a_chat_nobody_else_speaks_to_it(alerting: Alerting) -> None:
    await alerting.process()
    await alerting.letters(3)
    other = SharedMemory(alerting.redis, alerting.settings.prefix, lease=HOUR)
    claim = await other.claim(ADMIN)
    assert claim is not None
    assert await alerting.looks(5) == []
    await claim.save()
    assert len(await alerting.looks(5)) == 1


async def test_who_was_asleep_beyond_its_lease_does_not_speak_nor_overwrite(alerting: Alerting) -> None:
    await alerting.letters(3)
    sleeper = SharedMemory(alerting.redis, alerting.settings.prefix, lease=timedelta(milliseconds=1))
    claim = await sleeper.claim(ADMIN)
    assert claim is not None
    await eventually(alerting.looks)
    assert not await claim.renew()
    stored = await alerting.redis.hget(memory_key(alerting.settings.prefix, ADMIN), "memory")
    again = SharedMemory(alerting.redis, alerting.settings.prefix)
    await eventually(lambda: again.take(ADMIN))
    await claim.save()
    assert await alerting.redis.hget(memory_key(alerting.settings.prefix, ADMIN), "memory") == stored


async def test_who_was_overtaken_while_it_looked_does_not_tell_the_same(
    alerting: Alerting, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, other = await alerting.process(lease=timedelta(milliseconds=1)), await alerting.process()
    await alerting.letters(3)
    look = slow._lookout.look

    async def overtaken(now: datetime) -> Sight:
        sight = await look(now)

        async def told() -> bool:
            await other.look()
            return bool(alerting.ada.chat)

        await eventually(told)
        return sight

    monkeypatch.setattr(slow._lookout, "look", overtaken)
    assert len(await alerting.looks()) == 1
    monkeypatch.undo()
    assert await alerting.looks(5) == []


async def test_what_was_told_is_remembered_though_redis_went_away_at_that_moment(alerting: Alerting) -> None:
    await alerting.letters(3)
    async with proxied(alerting.settings.redis_url.get_secret_value()) as (proxy, url):
        watch = await alerting.process(redis_url=url, lease=timedelta(milliseconds=1))
        alerting.now += MINUTE
        await watch.look()  # its scripts are known to the server now
        assert len(alerting.ada.chat) == 1
        await alerting.letters(1, "unknown_version")
        cut = proxy.cut_before(b"unknown_version")
        assert len(await alerting.looks()) == 1
        assert cut.is_set()
        assert await alerting.looks(5) == []


async def test_a_memory_that_cannot_be_read_is_begun_anew(alerting: Alerting) -> None:
    await alerting.redis.hset(memory_key(alerting.settings.prefix, ADMIN), "memory", '{"episodes": 7}')
    await alerting.letters(3)
    assert len(await alerting.looks(3)) == 1


async def test_the_memory_of_a_chat_that_nobody_watches_goes_after_long(alerting: Alerting) -> None:
    await alerting.looks()
    left = await alerting.redis.ttl(memory_key(alerting.settings.prefix, ADMIN))
    assert timedelta(days=59) < timedelta(seconds=left) <= timedelta(days=60)
