"""Fault 46: forks, second and closed event loops, the ends of an interpreter, SIGTERM. Each bot is a real process."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually
from tracequeue.keys import events_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


async def send_the_spool(site: Site, folder: Path) -> None:
    """As the next bot does that uses the folder; then all is stored."""
    bot = site.bot(spool_dir=folder)
    await bot.collector.start()
    await eventually(lambda: not list(folder.parent.glob("spool/*")))
    await bot.stop()
    await site.drain()


FORK_WHILE_THREADS_EMIT = """
    enough = threading.Event()

    def emit():
        while not enough.is_set():
            trace()

    threads = [threading.Thread(target=emit) for _ in range(4)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(10):
        if not (child := os.fork()):
            trace()
            sys.exit()
        children.append(child)
    assert {os.waitpid(child, 0)[1] for child in children} == {0}
    enough.set()
    for thread in threads:
        thread.join()
    """
GRANDCHILDREN = """
    trace()
    if not os.fork():
        trace()
        if not os.fork():
            trace()
            sys.exit()
        assert os.wait()[1] == 0
        trace()
        sys.exit()
    assert os.wait()[1] == 0
    trace()
    """
POOL = """
    import multiprocessing

    trace()
    with multiprocessing.get_context("fork").Pool(3) as pool:
        pool.map(trace, range(1, 20))
        pool.close()
        pool.join()
    trace()
    """
TWO_LOOPS = """
    async def main():
        trace()
        await collector.flush(0.1)
        trace()

    asyncio.run(main())
    asyncio.run(main())
    """
STOPPED_IN_A_LOOP_OF_ITS_OWN = """
    async def main():
        trace()

    asyncio.run(main())
    asyncio.run(collector.stop())
    """
CLOSED_LOOP = """
    loop = asyncio.new_event_loop()

    async def main():
        trace()
        await collector.start()

    loop.run_until_complete(main())
    loop.close()
    trace()
    """
EXIT_HANDLER = """
    import atexit

    trace()
    atexit.register(trace)
    """
UNHANDLED = """
    trace()
    sys.stderr = open(os.devnull, "w")
    raise SystemExit(3)
    """
SIGTERM_HANDLED = """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    trace()
    os.kill(os.getpid(), signal.SIGTERM)
    """


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param(FORK_WHILE_THREADS_EMIT, 0, id="fork while threads emit"),
        pytest.param(GRANDCHILDREN, 0, id="fork of a fork"),
        pytest.param(POOL, 0, id="multiprocessing pool"),
        pytest.param(TWO_LOOPS, 0, id="second event loop"),
        pytest.param(STOPPED_IN_A_LOOP_OF_ITS_OWN, 0, id="stopped in another loop"),
        pytest.param(CLOSED_LOOP, 0, id="closed event loop"),
        pytest.param(EXIT_HANDLER, 0, id="exit handler"),
        pytest.param(UNHANDLED, 3, id="exit with a code"),
        pytest.param(SIGTERM_HANDLED, 3, id="SIGTERM with a handler"),
    ],
)
@pytest.mark.parametrize("where", ["redis", "disk"])
async def test_a_process_splits_or_ends(
    own_site: Site, own_redis: OwnServer, bot_process: Any, folder: Path, script: str, code: int, where: str
) -> None:
    """Redis or, where it is away or slow, the disk has it all: nothing that was handed over is missing."""
    bot = bot_process(own_site.redis_url, spool_dir=folder)
    if where == "disk":
        await asyncio.to_thread(own_redis.stop)
    await asyncio.to_thread(bot.run, script, code=code)
    if where == "disk":
        await asyncio.to_thread(own_redis.start)
    await send_the_spool(own_site, folder)
    assert bot.journal.events
    await own_site.assert_account_closes(bot)


@pytest.mark.parametrize(
    ("ending", "code"),
    [("os._exit(4)", 4), ("os.kill(os.getpid(), signal.SIGTERM)", -15), ("os.kill(os.getpid(), signal.SIGKILL)", -9)],
    ids=["os._exit", "SIGTERM", "SIGKILL"],
)
async def test_an_end_that_python_does_not_see_takes_what_had_not_reached_the_publisher(
    own_site: Site, own_redis: OwnServer, bot_process: Any, folder: Path, ending: str, code: int
) -> None:
    await asyncio.to_thread(own_redis.stop)
    bot = bot_process(own_site.redis_url, spool_dir=folder)
    script = f"""
        trace()
        while collector.stats().spooled < 5:
            threading.Event().wait(0.01)
        {ending}
        """
    await asyncio.to_thread(bot.run, script, code=code)
    await asyncio.to_thread(own_redis.start)
    await send_the_spool(own_site, folder)
    await own_site.assert_account_closes(bot)


@pytest.mark.parametrize("spooling", [True, False], ids=["with a spool", "without a spool"])
async def test_the_end_with_a_frozen_redis(
    own_site: Site, own_redis: OwnServer, bot_process: Any, folder: Path, spooling: bool
) -> None:
    """It does not hold the process. With a spool nothing is lost; without one the log says what is."""
    bot = bot_process(own_site.redis_url, **({"spool_dir": folder} if spooling else {}))
    await asyncio.to_thread(own_redis.freeze)
    await asyncio.to_thread(bot.run, "trace()")
    await asyncio.to_thread(own_redis.thaw)
    if spooling:
        await send_the_spool(own_site, folder)
        await own_site.assert_account_closes(bot)


async def test_a_child_that_lives_on_does_not_hold_its_parents_segments(
    own_site: Site, own_redis: OwnServer, bot_process: Any, folder: Path
) -> None:
    await asyncio.to_thread(own_redis.stop)
    bot = bot_process(own_site.redis_url, spool_dir=folder)
    script = """
        trace()
        while collector.stats().spooled < 5:
            threading.Event().wait(0.01)
        if not os.fork():
            sys.stdin.read()
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    bot.start(script)
    assert await asyncio.to_thread(bot.process.wait) == -signal.SIGKILL
    await asyncio.to_thread(own_redis.start)
    await send_the_spool(own_site, folder)
    await own_site.assert_account_closes(bot)


async def test_no_thread_can_be_started_and_redis_is_frozen(
    own_site: Site, own_redis: OwnServer, bot_process: Any, folder: Path
) -> None:
    """Threads want a stack that no machine has. The stop sends from its own thread, and gives up in time."""
    bot = bot_process(own_site.redis_url, spool_dir=folder)
    await asyncio.to_thread(own_redis.freeze)
    script = """
        threading.stack_size(2**46)
        trace()
        assert not [one for one in threading.enumerate() if one.name.startswith("tracequeue")]
        print(collector.stop_sync(0.5).spooled)
        """
    assert int(await asyncio.to_thread(bot.run, script)) == 5
    await asyncio.to_thread(own_redis.thaw)
    await send_the_spool(own_site, folder)
    await own_site.assert_account_closes(bot)


async def test_a_stop_at_any_moment_of_the_start_happens_once(site: Site, bot_process: Any) -> None:
    """As from a signal handler: Python runs those where calls begin and end, as it does a profiler.

    Except where it would wait for the very call that it interrupted, to let go of the buffer.
    """
    bot = bot_process(site.redis_url)
    script = """
        from tracequeue import EmitterSettings, TraceContext
        from tracequeue import collector as process

        def stopped_in_the_start(moment):
            seen = 0

            def profile(*_):
                nonlocal seen
                seen += 1
                if seen == moment and not made._buffers[0]._lock._is_owned():
                    made.stop_sync(30)

            sys.setprofile(profile)
            with TraceContext("main"):
                pass
            sys.setprofile(None)
            return seen >= moment

        moment, more = 0, True
        while more:
            moment += 1
            made = TraceCollector(EmitterSettings.from_environment())
            process.use(made)
            more = stopped_in_the_start(moment)
            stats = made.stop_sync(30)
            assert stats.buffered == 0, (moment, stats)
        print(moment)
        """
    assert int(await asyncio.to_thread(bot.run, script)) > 50
    numbers: dict[bytes, list[int]] = {}
    for _, fields in await site.redis.xrange(events_key(site.prefix, 0)):
        numbers.setdefault(fields[b"src"], []).append(int(fields[b"seq"]))
    assert len(numbers) > 10
    assert all(sorted(seqs) == list(range(1, len(seqs) + 1)) for seqs in numbers.values())
