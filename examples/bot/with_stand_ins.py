"""`python -m examples.bot.with_stand_ins`: the bot and all it needs, on this machine, with one command.

A service whose token or key is in the environment is used itself, instead of its stand-in. So it is with servers.
"""

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from examples.bot.__main__ import reported
from examples.bot.application import Application
from examples.bot.logs import set_up_logging
from examples.bot.settings import BotSettings
from examples.bot.stand_ins.anthropic import AnthropicStandIn
from examples.bot.stand_ins.openrouter import OpenRouterStandIn
from examples.bot.stand_ins.telegram import TelegramStandIn
from examples.bot.stand_ins.telegram.server import PORT
from tracequeue_worker import migrate as migrations
from tracequeue_worker.backlog import read_backlog
from tracequeue_worker.embedded import DATA_DIR, Servers, servers, to_start
from tracequeue_worker.embedded.workers import environment_of, worker_processes
from tracequeue_worker.redis_client import command_client
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership

ADMIN: Final = 1
"""The Telegram id of the admin, where the environment names none."""
KEYS: Final = ("TELEGRAM_TOKEN", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY")
DRAIN_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05


def main() -> int:
    """Run until Ctrl-C or SIGTERM. Gives the exit code."""
    set_up_logging()
    return reported(_run)


def _run() -> None:
    """The bot ends first, then the worker when it has stored what the bot sent, then the servers."""
    _interrupt_on_sigterm()
    with _tracing():
        asyncio.run(_bot())
        _interrupt_on_sigterm()
        asyncio.run(_drained())
    _say(f"stopped; the traces are in {DATA_DIR}/")


def _interrupt_on_sigterm() -> None:
    """While the bot runs, aiogram handles signals; its loop takes that along when it ends."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def _tracing() -> Iterator[None]:
    """Redis, Postgres and a worker until the block is left, and an environment that names them."""
    settings = WorkerSettings.load()
    if missing := to_start(settings):
        _say(f"starting {' and '.join(missing.values())}")
    with servers(settings, DATA_DIR) as running:
        asyncio.run(_migrate(running))
        environment = environment_of(settings, running)
        os.environ.update(environment)
        DATA_DIR.mkdir(exist_ok=True)
        with worker_processes([f"bot-worker-{os.getpid()}"], environment, DATA_DIR / "bot-worker.log"):
            _tell_where_traces_go({f"TRACEQUEUE_{field.upper()}": getattr(running, field) for field in missing})
            yield


async def _migrate(running: Servers) -> None:
    await migrations.migrate(running.database_url)


async def _bot() -> None:
    async with _services() as services:
        await Application(BotSettings.load(**services)).run()


@asynccontextmanager
async def _services() -> AsyncIterator[dict[str, Any]]:
    """Settings that name the stand-ins, which run until the block is left."""
    settings: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        if not os.environ.get("TELEGRAM_TOKEN"):
            telegram = await _telegram(stack)
            settings |= {"telegram_token": telegram.token, "telegram_api_url": telegram.url}
            if not os.environ.get("BOT_ADMIN_IDS"):
                settings |= {"bot_admin_ids": str(telegram.person(ADMIN, "Admin").id)}
            _tell_how_to_talk(telegram.url)
        if not (os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("OPENROUTER_API_KEY")):
            claude = await stack.enter_async_context(AnthropicStandIn.running())
            openrouter = await stack.enter_async_context(OpenRouterStandIn.running())
            settings |= {"anthropic_api_key": claude.key, "anthropic_base_url": claude.url}
            settings |= {"openrouter_api_key": openrouter.key, "openrouter_base_url": openrouter.url}
        for name in filter(os.environ.get, KEYS):
            _say(f"{name} is in the environment: that service is used itself")
        if os.environ.get("TELEGRAM_TOKEN") and not os.environ.get("BOT_ADMIN_IDS"):
            _say("BOT_ADMIN_IDS is not set: there are no admin commands and no alerts")
        yield settings


async def _telegram(stack: AsyncExitStack) -> TelegramStandIn:
    """Where `talk` looks for it, or on a free port; with a new bot each time, whose messages are counted from 1."""
    token = f"{int(time.time())}:stand-in"
    try:
        return await stack.enter_async_context(TelegramStandIn.running(port=PORT, token=token))
    except OSError:
        return await stack.enter_async_context(TelegramStandIn.running(token=token))


async def _drained() -> None:
    """Wait a little until all is stored. What is not then is stored at the next start."""
    settings = WorkerSettings.load()
    membership = Membership.of(settings)
    async with command_client(settings.redis_url.get_secret_value()) as client:
        for _ in range(round(DRAIN_SECONDS / POLL_SECONDS)):
            if all(backlog.empty for backlog in await read_backlog(client, membership)):
                return
            await asyncio.sleep(POLL_SECONDS)


def _tell_where_traces_go(urls: dict[str, str]) -> None:
    """A URL that was given is known, and may hold a password."""
    for name, url in urls.items():
        _say(f"export {name}={shlex.quote(url)}", sys.stdout)
    paste = "paste these lines into another terminal, and " if urls else ""
    _say(f"{paste}see what the bot did: {_here('tracequeue')} traces")


def _tell_how_to_talk(url: str) -> None:
    talk = f"{_here('python')} -m examples.bot.talk" + ("" if url.endswith(f":{PORT}") else f" --url {url}")
    admin = (os.environ.get("BOT_ADMIN_IDS") or str(ADMIN)).partition(",")[0].strip()
    _say(f"talk with the bot from another terminal: {talk}")
    _say("    /learn swimming, /train swimming, /help; any other text is a question")
    _say(f"as its admin: {talk} --as {admin} --name Admin")
    _say("    /traces, /trace, /failed, /slow, /cost, /lag, /dlq; /why as a reply to an answer; /admin explains them")
    _say("Ctrl-C stops everything; the traces stay")


def _here(program: str) -> str:
    """How a program of this environment is typed in this folder."""
    path = Path(sys.executable).with_name(program)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _say(line: str, stream: Any = None) -> None:
    """To whoever watches, unless it is a line to be pasted."""
    print(line, file=stream or sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
