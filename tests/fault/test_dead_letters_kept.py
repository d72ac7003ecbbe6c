"""Fault 31: the dead-letter stream cannot be written. Fault 32: a crash beside the step that writes a dead letter."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest

from tests.fixtures.journal import Bot
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.worker_process import is_frozen, worker_process
from tracequeue.keys import dead_key, events_key

FRAMES = 20
REFUSED = (5, 17, 42)
"""Numbers of the spans that the store refuses, of three in each frame."""
FIRST_REFUSED = (2,)
"""Where memory is full: a script that has settled something may go on to write."""

Obstacle = Callable[[Site], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def wrong_type(site: Site) -> AsyncIterator[str]:
    await site.redis.set(dead_key(site.prefix, 0), "in the way")
    yield site.redis_url
    await site.redis.delete(dead_key(site.prefix, 0))


@asynccontextmanager
async def out_of_memory(site: Site) -> AsyncIterator[str]:
    await site.redis.config_set("maxmemory", "1")
    try:
        yield site.redis_url
    finally:
        await site.redis.config_set("maxmemory", "0")


@asynccontextmanager
async def no_permission(site: Site) -> AsyncIterator[str]:
    """A right that is taken from the worker while it works: it adds to no other stream."""
    await site.redis.execute_command("ACL", "SETUSER", site.prefix, "-xadd")
    yield site.redis_url
    await site.redis.execute_command("ACL", "SETUSER", site.prefix, "+xadd")


@asynccontextmanager
async def worker_login(site: Site) -> AsyncIterator[str]:
    """The URL of a user whose rights can be changed."""
    await site.redis.execute_command("ACL", "SETUSER", site.prefix, "on", ">secret", "~*", "&*", "+@all")
    try:
        yield site.redis_url.replace("redis://", f"redis://{site.prefix}:secret@")
    finally:
        await site.redis.execute_command("ACL", "DELUSER", site.prefix)


async def emit(site: Site, bot: Bot, refused: tuple[int, ...] = REFUSED) -> int:
    """A frame per trace, some with a span that the store refuses; how many frames."""
    numbers = ", ".join(map(str, refused))
    await site.fetch(
        "ALTER TABLE pipeline_spans ADD CONSTRAINT refused_numbers "
        f"CHECK ((output_data ->> 'number')::int NOT IN ({numbers})) NOT VALID"
    )
    for _ in range(FRAMES):
        bot.trace(3)
        assert await bot.collector.flush()
    await bot.stop()
    return int(await site.redis.xlen(events_key(site.prefix, 0)))


async def pending_ids(site: Site) -> list[str]:
    pending = await site.redis.xpending_range(events_key(site.prefix, 0), "persist", "-", "+", 1000)
    return [entry["message_id"].decode() for entry in pending]


@pytest.mark.parametrize(
    ("obstacle", "refused"), [(wrong_type, REFUSED), (out_of_memory, FIRST_REFUSED), (no_permission, REFUSED)]
)
async def test_a_dead_letter_that_cannot_be_written_keeps_its_record_pending_alone(
    site: Site, obstacle: Obstacle, refused: tuple[int, ...]
) -> None:
    """The neighbours are settled, the record waits, and it ends as one dead letter by itself once that is possible."""
    bot = site.bot()
    frames = await emit(site, bot, refused)
    await site.redis.xgroup_create(events_key(site.prefix, 0), "persist", id="0")
    async with worker_login(site) as url, AsyncExitStack() as locked:
        await locked.enter_async_context(site.holding("LOCK TABLE pipeline_frames"))
        async with site.working(redis_url=url) as report:
            await eventually(lambda: so_many_pending(site, frames))
            async with obstacle(site):
                await locked.aclose()
                await eventually(lambda: so_many_pending(site, len(refused)))
                waiting = await pending_ids(site)
                assert report.dead_letters == 0
            await eventually(site.settled)
    letters = await site.dead_letters()
    assert sorted(letter["entry"] for letter in letters) == sorted(waiting)
    assert {letter["reason"] for letter in letters} == {"store:23514"}
    await site.assert_account_closes(bot, dead=len(refused))


async def so_many_pending(site: Site, count: int) -> bool:
    """First all entries there are, at last those that cannot be settled."""
    return len(await pending_ids(site)) == count


@pytest.mark.parametrize(
    ("point", "letters"), [("after COMMIT", 0), ("before settling", 0), ("between two calls of settling", 1)]
)
async def test_killed_beside_the_step_that_writes_a_dead_letter(site: Site, point: str, letters: int) -> None:
    """Letter and acknowledgement are one step: before it there is neither, after it both."""
    bot = site.bot()
    frames = await emit(site, bot)
    async with worker_process(site, point) as worker:
        assert await worker.wait() == -signal.SIGKILL
    settled = frames - len(await pending_ids(site))
    written = await site.dead_letters()
    assert bool(settled) is bool(letters)
    assert not {letter["entry"] for letter in written} & set(await pending_ids(site))
    await site.drain()
    assert len({letter["entry"] for letter in await site.dead_letters()}) == len(REFUSED)
    await site.assert_account_closes(bot, dead=len(REFUSED))


@pytest.mark.parametrize("vanishes", ["DEL", "FLUSHALL", "XGROUP DESTROY"])
async def test_the_entries_vanish_between_commit_and_settle(own_site: Site, vanishes: str) -> None:
    """The rows are committed, no entry is left to bring the dead letters again, and they are written all the same.

    Without its group every entry that is there comes again, and leaves no second letter.
    """
    site, bot = own_site, own_site.bot()
    await emit(site, bot)
    key = events_key(site.prefix, 0)
    async with worker_process(site, "before settling", signal.SIGSTOP) as worker:
        await eventually(lambda: is_frozen(worker))
        assert await site.fetch("SELECT FROM pipeline_spans")
        words = [vanishes] if vanishes == "FLUSHALL" else [*vanishes.split(), key]
        await site.redis.execute_command(*words, *(["persist"] if len(words) == 3 else []))
        worker.send_signal(signal.SIGCONT)
        await eventually(lambda: so_many_letters(site, len(REFUSED)))
        await eventually(site.settled)
    await site.redis.xgroup_destroy(key, "persist")
    await site.drain()
    await site.assert_account_closes(bot, dead=len(REFUSED))


async def so_many_letters(site: Site, count: int) -> bool:
    return len(await site.dead_letters()) == count
