"""What the health port says while servers are frozen, stopped or cut off, and while the worker itself is stuck."""

import asyncio
import os
import shlex
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import Popen

import pytest
import yaml

from tests.fixtures.command import Command
from tests.fixtures.journal import Bot
from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.polling import eventually
from tests.fixtures.probing import ask, becomes
from tests.fixtures.proxy import proxied
from tests.fixtures.servers import free_port
from tracequeue_worker import redis_client
from tracequeue_worker.health import verdicts

COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())


@asynccontextmanager
async def well(site: Site, **changes: object) -> AsyncIterator[tuple[int, Bot]]:
    """The health port of a worker that is well, and a bot; what the bot emits is stored at the end."""
    port, bot = free_port(), site.bot()
    async with site.working(health_port=port, **changes) as report:
        bot.trace()
        await eventually(lambda: report.frames)
        await becomes(port, "/readyz", 200)
        yield port, bot
        await bot.stop()
        await eventually(site.settled)
    await site.assert_account_closes(bot)


async def test_a_frozen_postgres_is_said_while_it_lasts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fails for a minute then, because a statement may take so long: silence is what tells."""
    monkeypatch.setattr(verdicts, "UNANSWERED_SECONDS", 0.5)
    async with proxied(site.database_url) as (proxy, url), well(site, database_url=url, stall_seconds=2) as (port, bot):
        proxy.freeze()
        bot.trace()
        not_ready = await becomes(port, "/readyz", 503, "writing to the store")
        assert not_ready.reasons["writing to the store"] == "degraded"
        assert "does not answer" in not_ready.body.decode()
        dead = await becomes(port, "/healthz", 503)
        assert set(dead.reasons) >= {"working", "writing to the store"}
        proxy.thaw()
        await becomes(port, "/readyz", 200)
        await becomes(port, "/healthz", 200)


async def test_a_stopped_postgres_is_said_with_its_cause(site: Site, own_postgres: OwnServer) -> None:
    site.database_url = own_postgres.url
    async with well(site) as (port, bot):
        await asyncio.to_thread(own_postgres.stop)
        bot.trace()
        not_ready = await becomes(port, "/readyz", 503, "writing to the store")
        assert not_ready.reasons["writing to the store"] == "degraded"
        assert "tracequeue:tracequeue" not in not_ready.body.decode()
        assert (await ask(port, "/healthz")).status == 200
        await asyncio.to_thread(own_postgres.start)
        await becomes(port, "/readyz", 200)


async def test_a_frozen_redis_is_said_and_does_not_hold_up_the_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_client, "COMMAND_SECONDS", 0.5)
    monkeypatch.setattr(redis_client, "READ_MARGIN_SECONDS", 0.5)
    async with proxied(site.redis_url) as (proxy, url), well(site, redis_url=url, stall_seconds=1) as (port, bot):
        await bot.stop()
        await eventually(site.settled)
        await eventually(lambda: sees_nothing_to_do(port))
        proxy.freeze()
        await becomes(port, "/readyz", 503, "reading from Redis", "looking at the streams")
        assert (await ask(port, "/healthz")).status == 200  # nothing is to be done, as far as can be known
        assert (await ask(port, "/metrics")).samples()["tracequeue_trouble{operation=read}{state=degraded}"] == 1
        proxy.thaw()
        await becomes(port, "/readyz", 200)


async def sees_nothing_to_do(port: int) -> bool:
    samples = (await ask(port, "/metrics")).samples()
    return samples["tracequeue_unread_frames{partition=0}"] + samples["tracequeue_pending_frames{partition=0}"] == 0


@pytest.fixture
def worker(command: Command) -> Iterator[tuple[int, "Popen[str]"]]:
    """A worker in a process of its own, and its health port."""
    port = free_port()
    process = command.start("worker", TRACEQUEUE_HEALTH_PORT=str(port))
    yield port, process
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.communicate()


async def test_a_worker_whose_loop_is_stuck_answers_no_probe(worker: tuple[int, "Popen[str]"]) -> None:
    """Fault 4 as a probe sees it: the process is there, the port is open, and nobody answers."""
    port, process = worker
    await becomes(port, "/healthz", 200)
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(port, "/healthz"), 1)
    os.kill(process.pid, signal.SIGCONT)
    await becomes(port, "/healthz", 200)


async def test_the_health_check_of_the_container_tells_a_living_worker(worker: tuple[int, "Popen[str]"]) -> None:
    port, process = worker
    how, program, *arguments = COMPOSE["services"]["worker"]["healthcheck"]["test"]
    own_port = COMPOSE["services"]["worker"]["environment"]["TRACEQUEUE_HEALTH_PORT"]
    words = [sys.executable, *(word.replace(f":{own_port}/", f":{port}/") for word in arguments)]
    assert (how, program, words[1:] == arguments) == ("CMD", "python", False)

    async def code() -> int:
        checking = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.DEVNULL)
        return await checking.wait()

    await becomes(port, "/healthz", 200)
    assert await code() == 0, shlex.join(words)
    process.terminate()
    process.wait()
    assert await code() != 0


async def test_a_port_that_is_taken_is_said_in_a_line(worker: tuple[int, "Popen[str]"], command: Command) -> None:
    port, _ = worker
    await becomes(port, "/healthz", 200)
    answer = await asyncio.to_thread(command, "worker", TRACEQUEUE_HEALTH_PORT=str(port))
    assert (answer.code, answer.out) == (2, "")
    assert f"TRACEQUEUE_HEALTH_PORT={port}: cannot listen on" in answer.err.splitlines()[-1]
    assert "choose another port" in answer.err.splitlines()[-1]


def port_before_a_free_one() -> int:
    """A free port, and so is the next."""
    while True:
        port = free_port()
        with suppress(OSError, OverflowError), socket.socket() as next_one:
            next_one.bind(("0.0.0.0", port + 1))
            return port


async def test_workers_of_up_take_ports_one_after_another(command: Command) -> None:
    port = port_before_a_free_one()
    process = command.start("up", "--workers", "2", TRACEQUEUE_HEALTH_PORT=str(port))
    try:
        await becomes(port, "/healthz", 200)
        await becomes(port + 1, "/healthz", 200)
    finally:
        process.terminate()
        await asyncio.to_thread(process.communicate)
