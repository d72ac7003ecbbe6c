"""What a bot may do to its emitter at the worst moment: it is never held up, and nothing is lost."""

import asyncio
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from tracequeue import EmitterSettings, TraceCollector, TraceContext
from tracequeue import collector as process

GUARD_SECONDS = 60
"""Ends a bot that is held up for ever."""


def run_bot(body: str, redis_url: str, prefix: str) -> str:
    environment = os.environ | {"TRACEQUEUE_REDIS_URL": redis_url, "TRACEQUEUE_PREFIX": prefix}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body)],
        env=environment, capture_output=True, text=True, check=True, timeout=GUARD_SECONDS,
    ).stdout  # fmt: skip


def test_a_signal_handler_may_trace_while_the_publisher_is_started_or_woken(redis_url: str, prefix: str) -> None:
    """Python runs signal handlers where calls begin and end; a profiler is called there too, in a fixed order."""
    out = run_bot(
        """
        import sys
        from tracequeue import EmitterSettings, TraceCollector, TraceContext, collector

        settings = EmitterSettings.from_environment(partitions=64, linger_ms=0)

        def trace(name):
            with TraceContext(name):
                pass

        def interrupted(moment):
            seen = 0

            def profile(*_):
                nonlocal seen
                seen += 1
                if seen == moment:
                    trace("handler")

            sys.setprofile(profile)
            trace("main")
            sys.setprofile(None)
            return seen >= moment

        moment, more = 0, True
        while more:
            moment += 1
            made = TraceCollector(settings)
            collector.use(made)
            more = interrupted(moment)
            assert made.stop_sync(30).published == 2 + 2 * more, moment
        print(moment)
        """,
        redis_url,
        prefix,
    )
    assert int(out) > 100


async def test_stopping_does_not_wait_for_the_threads_of_the_bot(redis_url: str, prefix: str) -> None:
    collector = TraceCollector(EmitterSettings(redis_url=redis_url, prefix=prefix))
    process.use(collector)
    with TraceContext("learn"):
        pass
    release = Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    work = loop.run_in_executor(None, release.wait, GUARD_SECONDS)
    try:
        assert await collector.flush()
        assert (await collector.stop()).complete
        assert not work.done()
    finally:
        release.set()
        await work
        process.use(None)
