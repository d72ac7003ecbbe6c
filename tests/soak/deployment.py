"""What a soak attacks: a Redis and a Postgres of its own, a proxy before each, bots with a spool, and workers."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tests.fixtures.own_servers import OwnServer, second_postgres, second_redis
from tests.fixtures.proxy import Proxy, proxied
from tests.soak.program import ENDED_WELL, Program, environment_of, python
from tracequeue_worker.backlog import Backlog, read_backlog
from tracequeue_worker.cli.output import Exit
from tracequeue_worker.embedded.workers import WORKER
from tracequeue_worker.errors import Fatal, Transient
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership

EVERY_WRITE_ON_DISK = ("--appendonly", "yes", "--appendfsync", "always")
CLAIM_SECONDS = 3.0
"""How long a frame stays with a silent worker."""
KEPT_SECONDS = 20
"""How long settled frames stay in Redis."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and for how long."""

    seconds: float
    seed: int
    bots: int = 2
    workers: int = 3
    rate: float = 1_000.0
    """Spans a second of each bot."""
    calm: float = 7.0
    """Seconds between two faults of one kind of target, on average."""
    patience: float = 400.0
    """Seconds that all may take beyond the faults: ends a soak that is stuck."""
    servers: str = "embedded"


@dataclass
class Deployment:
    """The running parts. Bots and workers reach the servers through the proxies."""

    plan: Plan
    folder: Path
    redis_server: OwnServer
    postgres_server: OwnServer
    redis_proxy: Proxy
    postgres_proxy: Proxy
    variables: dict[str, str]
    """Of bots and workers."""
    bots: list[Program] = field(default_factory=list)
    workers: list[Program] = field(default_factory=list)
    lives: int = 0
    """Of bots, so far."""
    foreign: int = 0
    """Entries that are no frames, added to the stream."""
    starts_in_vain: int = 0
    """Of workers, while a server was away."""
    crashes: list[str] = field(default_factory=list)
    """Processes that ended otherwise than they were told to."""

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    def journal(self, life: int) -> Path:
        return self.folder / f"journal-{life}"

    def client(self) -> Redis:
        """Of the Redis itself; to be closed."""
        return Redis.from_url(self.redis_server.url, retry=Retry(NoBackoff(), 0), socket_timeout=30)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[asyncpg.Connection]:
        """To the Postgres itself, as its owner."""
        connection = await asyncpg.connect(self.postgres_server.url)
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    def add_programs(self) -> None:
        self.bots = [self._program(f"bot-{number}") for number in range(1, self.plan.bots + 1)]
        self.workers = [self._program(f"worker-{number}") for number in range(1, self.plan.workers + 1)]

    async def start_bot(self, bot: Program, rate: float | None = None) -> None:
        """A new life, with a journal of its own."""
        self.lives += 1
        rate = self.plan.rate if rate is None else rate
        await bot.start(*python("-m", "tests.soak.bot", self.lives, rate, self.journal(self.lives)))

    async def start_worker(self, worker: Program) -> None:
        """Under a new name."""
        await worker.start(*WORKER)

    async def stop(self, program: Program) -> None:
        """SIGTERM, and a note if it does not end as it should."""
        code = await program.stop()
        if code not in ENDED_WELL:
            self.crashes.append(f"{program.name} ended with {code} when it was asked to stop: {program.last_words()}")

    async def revive(self, *programs: Program) -> None:
        """Start those that ended without being told to, as a supervisor does. A worker that finds no server says so."""
        for program in programs:
            if (code := program.exit_code) is None:
                continue
            if program in self.workers and code == Exit.UNREACHABLE:
                self.starts_in_vain += 1
            else:
                self.crashes.append(f"{program.name} ended by itself with {code}: {program.last_words()}")
            await (self.start_bot if program in self.bots else self.start_worker)(program)

    async def command(self, *arguments: str) -> tuple[int, bytes]:
        """Run `tracequeue` beside the servers: how it ended, and its standard output."""
        own = environment_of(
            redis_url=self.redis_server.url,
            database_url=self.postgres_server.url,
            min_idle_ms=round(CLAIM_SECONDS * 1000),
        )
        with (self.folder / "commands.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *python("-P", "-m", "tracequeue_worker", *arguments),
                env=own, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            try:
                out, _ = await process.communicate()
            finally:
                if process.returncode is None:
                    process.send_signal(signal.SIGKILL)
                    await process.wait()
        return process.returncode or 0, out

    async def backlog(self) -> Sequence[Backlog]:
        """Empty while Redis cannot say."""
        settings = WorkerSettings.load(redis_url=self.redis_server.url, database_url=self.postgres_server.url)
        with suppress(Transient, Fatal, RedisError, OSError):
            async with self.client() as client:
                return await read_backlog(client, Membership.of(settings))
        return []

    async def settled(self) -> bool:
        """Whether nothing is unread or pending."""
        backlog = await self.backlog()
        return bool(backlog) and all(one.empty for one in backlog)

    def spool_is_empty(self) -> bool:
        return not self.spool.exists() or not list(self.spool.glob("*.spool"))

    async def state(self) -> str:
        """What hangs, when something does."""
        async with asyncio.timeout(10):
            backlog = await self.backlog()
        return "\n".join([f"backlog: {backlog}", *(program.state() for program in (*self.bots, *self.workers))])

    def _program(self, name: str) -> Program:
        return Program(name, self.variables, self.folder / f"{name}.log")


@asynccontextmanager
async def deployed(plan: Plan, folder: Path) -> AsyncIterator[Deployment]:
    """Everything runs until the block is left; then every process is ended."""
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(second_redis(plan.servers, folder / "redis", *EVERY_WRITE_ON_DISK))
        postgres = stack.enter_context(second_postgres(plan.servers, folder / "postgres"))
        redis_proxy, redis_url = await stack.enter_async_context(proxied(redis.url))
        postgres_proxy, database_url = await stack.enter_async_context(proxied(postgres.url))
        (folder / "spool").mkdir(mode=0o700)
        variables = environment_of(
            redis_url=redis_url, database_url=database_url, spool_dir=folder / "spool",
            min_idle_ms=round(CLAIM_SECONDS * 1000), keep_stream_seconds=KEPT_SECONDS,
        )  # fmt: skip
        site = Deployment(plan, folder, redis, postgres, redis_proxy, postgres_proxy, variables)
        site.add_programs()
        for program in (*site.bots, *site.workers):
            stack.push_async_callback(program.end)
        yield site
