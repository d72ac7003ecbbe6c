"""The emitter when its process ends, splits, or has several loops and a Redis that says nothing."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.arrived import events, frames
from tests.fixtures.polling import eventually_sync
from tracequeue import EmitterSettings, TraceCollector, TraceContext
from tracequeue import collector as process
from tracequeue.frame import Frame
from tracequeue_worker.embedded.bundled import bundled_valkey

BOT = """
    import asyncio, os, sys
    from tracequeue import TraceContext, init_collector, span, traced_span

    @traced_span("step")
    def step(number):
        return number

    init_collector()
    """


def run_bot(body: str, redis_url: str, prefix: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TRACEQUEUE_REDIS_URL": redis_url, "TRACEQUEUE_PREFIX": prefix}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BOT) + textwrap.dedent(body)],
        env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip


def test_the_end_of_the_interpreter_flushes(redis_url: str, prefix: str) -> None:
    run_bot("with TraceContext('learn'):\n    step(1)", redis_url, prefix)
    assert [event["type"] for event in events(redis_url, prefix)] == ["trace.started", "span", "trace.ended"]


def test_events_from_an_exit_handler_are_sent_too(redis_url: str, prefix: str) -> None:
    run_bot(
        """
        import atexit
        def late():
            with TraceContext("late"):
                step(2)
        with TraceContext("learn"):
            step(1)
        atexit.register(late)
        """,
        redis_url,
        prefix,
    )
    assert len(events(redis_url, prefix)) == 6


def test_a_second_loop_and_a_closed_loop(redis_url: str, prefix: str) -> None:
    run_bot(
        """
        async def main():
            async with TraceContext("learn"):
                step(1)
        asyncio.run(main())
        asyncio.run(main())
        """,
        redis_url,
        prefix,
    )
    assert len(events(redis_url, prefix)) == 6


@pytest.mark.parametrize("way", ["os.fork", "multiprocessing"])
def test_a_fork_is_an_emitter_of_its_own(redis_url: str, prefix: str, way: str) -> None:
    run_bot(
        f"""
        import multiprocessing
        def child():
            with TraceContext("child"):
                step(2)
        with TraceContext("parent"):
            step(1)
        if "{way}" == "os.fork":
            pid = os.fork()
            if pid == 0:
                child()
                sys.exit(0)
            os.waitpid(pid, 0)
        else:
            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            process.join()
        with TraceContext("parent again"):
            step(3)
        """,
        redis_url,
        prefix,
    )
    by_emitter: dict[Any, list[Frame]] = {}
    for frame in frames(redis_url, prefix):
        by_emitter.setdefault(frame.emitter_id, []).append(frame)
    assert sorted(sum(len(frame.lines) for frame in group) for group in by_emitter.values()) == [3, 6]
    for group in by_emitter.values():
        assert [frame.seq for frame in group] == list(range(1, len(group) + 1))


def test_a_frozen_redis_does_not_hold_the_bot(prefix: str, tmp_path: Path) -> None:
    binary = bundled_valkey()
    socket = tmp_path / "redis.sock"
    server = subprocess.Popen(
        [str(binary), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    try:
        eventually_sync(socket.exists)
        collector = TraceCollector(EmitterSettings(redis_url=f"unix://{socket}", prefix=prefix))
        process.use(collector)
        with TraceContext("learn"):
            pass
        assert collector.flush_sync()
        server.send_signal(signal.SIGSTOP)
        for _ in range(1000):
            with TraceContext("frozen"):
                pass
        assert collector.stats().buffered >= 2000
        server.send_signal(signal.SIGCONT)
        eventually_sync(lambda: collector.stats().published == 2002)
        assert collector.stop_sync().complete
    finally:
        process.use(None)
        server.send_signal(signal.SIGCONT)
        server.terminate()
        server.wait()
