"""The demo's course: servers, two workers, a bot, a poison record, a SIGKILL, and then the account.

Bot and workers are processes of their own; everything goes over the real servers.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time_ns
from typing import Any
from uuid import UUID, uuid4

from pydantic import SecretStr
from redis.asyncio import Redis

from tracequeue_worker import migrate as migrations
from tracequeue_worker.audit.accounting import Audit, audit_accounts
from tracequeue_worker.backlog import read_backlog
from tracequeue_worker.database import create_pool
from tracequeue_worker.dead_letters.reader import DeadLetter, DeadLetters
from tracequeue_worker.embedded import servers, to_start
from tracequeue_worker.embedded.workers import WorkerProcess, environment_of, worker_processes
from tracequeue_worker.errors import WorkerError
from tracequeue_worker.read_models import Span, Trace
from tracequeue_worker.redis_client import command_client
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership

PIPELINES = 300
MIN_IDLE_MS = 1_500
"""Short, so that nobody waits a minute to see a dead worker's frames taken over."""
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.005
LISTED = 1_000

Say = Callable[[str], None]


class DemoFailed(WorkerError):
    """The demo could not show what it promises."""


@dataclass(frozen=True, slots=True)
class Poison:
    """What a foreign producer sent: a record that cannot be stored, and its good neighbour in the same frame."""

    entry: str
    neighbour: UUID


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What was seen. `killed_holding` is the number of frames that the killed worker had read and not settled."""

    examples: list[tuple[Trace, list[Span]]]
    traces: int
    incomplete: int
    letter: DeadLetter | None
    neighbour_stored: bool
    killed: str
    killed_holding: int
    bot: dict[str, Any]
    audit: Audit

    @property
    def closes(self) -> bool:
        """Whether every event is a row, a dead letter or a counted drop, and the poison harmed only itself."""
        return (
            self.audit.closes
            and [(one.emitted, one.in_flight) for one in self.audit.emitters] == [(self.bot["emitted"], 0)]
            and not self.incomplete
            and self.letter is not None
            and self.neighbour_stored
        )


def run_demo(settings: WorkerSettings, data_dir: Path, say: Say) -> Demonstration:
    """Raises `DemoFailed`, `Unreachable` or `MissingExtra`. Everything it started has ended when it returns."""
    if missing := to_start(settings):
        say(f"starting {' and '.join(missing.values())}")
    with servers(settings, data_dir) as running:
        applied = asyncio.run(migrations.migrate(running.database_url))
        say(f"database ready ({len(applied)} migrations applied)")
        chosen = settings.model_copy(
            update={
                "redis_url": SecretStr(running.redis_url),
                "database_url": SecretStr(running.database_url),
                "prefix": f"{settings.prefix}-demo",
            }
        )
        environment = environment_of(chosen, running, TRACEQUEUE_MIN_IDLE_MS=str(MIN_IDLE_MS))
        data_dir.mkdir(exist_ok=True)
        with worker_processes(["demo-1", "demo-2"], environment, data_dir / "demo-workers.log") as workers:
            say("two workers and a bot are running")
            return asyncio.run(_perform(chosen, environment, workers, say))


async def _perform(
    settings: WorkerSettings, environment: dict[str, str], workers: list[WorkerProcess], say: Say
) -> Demonstration:
    membership = Membership.of(settings)
    async with command_client(settings.redis_url.get_secret_value()) as client:
        bot = _start_bot(environment)
        try:
            poison = await _send_poison(client, membership)
            say("sent a poison record by hand, with a good one in the same frame")
            holding = await _kill_midway(client, membership, workers[0], bot)
            say(f"killed worker {workers[0].consumer} with SIGKILL; frames in its hands: {holding}")
            journal = await _journal(bot)
        finally:
            bot.kill()
            bot.wait()
        say(f"the bot has ended: {journal['emitted']} events emitted; the other worker takes over")
        await _drained(client, membership)
        letters = [letter async for letter in DeadLetters(client, membership).all()]
        letter = next((one for one in letters if one.facts.get("entry") == poison.entry), None)
        return await _look(settings, client, journal, poison, letter, workers[0].consumer, holding)


def _start_bot(environment: dict[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-m", "tracequeue_worker.demo.bot", "--pipelines", str(PIPELINES)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


async def _send_poison(client: Redis, membership: Membership) -> Poison:
    """As any program in any language would: one XADD with plain JSON lines."""
    now, neighbour = time_ns() // 1000, uuid4()
    good = {
        "type": "span", "trace_id": str(neighbour), "span_id": "00000000000000aa", "span_name": "foreign:neighbour",
        "start_time": now, "end_time": now + 1000, "duration_ms": 1.0, "status": "ok", "success": True,
    }  # fmt: skip
    bad = good | {"span_id": "not a span id", "span_name": "foreign:poison"}
    body = "\n".join(json.dumps(event) for event in (good, bad))
    entry: Any = await client.xadd(membership.streams[0], {"body": body})
    return Poison(entry.decode(), neighbour)


async def _kill_midway(
    client: Redis, membership: Membership, worker: WorkerProcess, bot: "subprocess.Popen[str]"
) -> int:
    """Wait for the moment at which the worker has frames in its hands."""
    deadline = monotonic() + PATIENCE_SECONDS
    while bot.poll() is None and monotonic() < deadline:
        if holding := await _pending_of(client, membership, worker.consumer):
            worker.kill()
            return holding
        await asyncio.sleep(POLL_SECONDS)
    raise DemoFailed(f"worker {worker.consumer} never had a frame in its hands: see demo-workers.log")


async def _pending_of(client: Redis, membership: Membership, consumer: str) -> int:
    stream = membership.streams[0]
    if not await client.exists(stream) or not await client.xinfo_groups(stream):
        return 0
    summary = await client.xpending(stream, membership.group)
    held = [one["pending"] for one in summary["consumers"] or [] if one["name"] == consumer.encode()]
    return int(held[0]) if held else 0


async def _journal(bot: "subprocess.Popen[str]") -> dict[str, Any]:
    """What the bot itself counted, printed as its last words."""
    output, _ = await asyncio.to_thread(bot.communicate, timeout=PATIENCE_SECONDS)
    if bot.returncode:
        raise DemoFailed(f"the bot ended with code {bot.returncode}")
    journal: dict[str, Any] = json.loads(output)
    return journal


async def _drained(client: Redis, membership: Membership) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    while not all(backlog.empty for backlog in await read_backlog(client, membership)):
        if monotonic() > deadline:
            raise DemoFailed(f"the stream is not drained after {PATIENCE_SECONDS:.0f} s: see demo-workers.log")
        await asyncio.sleep(POLL_SECONDS)


async def _look(
    settings: WorkerSettings,
    client: Redis,
    journal: dict[str, Any],
    poison: Poison,
    letter: DeadLetter | None,
    killed: str,
    holding: int,
) -> Demonstration:
    emitter = UUID(journal["emitter_id"])
    pool = await create_pool(settings, role="tracequeue_reader", size=1)
    try:
        repo = TraceRepo(pool)
        mine = [trace for trace in await repo.get_traces(limit=LISTED) if trace.emitter_id == emitter]
        chosen = [next((one for one in mine if one.pipeline_name == name), None) for name in ("learn", "support_regen")]
        examples = [(one, await repo.get_spans_for_trace(one.trace_id)) for one in chosen if one is not None]
        return Demonstration(
            examples=examples,
            traces=len(mine),
            incomplete=sum(trace.completeness != "complete" for trace in mine) + abs(len(mine) - PIPELINES - 1),
            letter=letter,
            neighbour_stored=len(await repo.get_spans_for_trace(poison.neighbour)) == 1,
            killed=killed,
            killed_holding=holding,
            bot=journal,
            audit=await audit_accounts(client, Membership.of(settings), pool, only=emitter),
        )
    finally:
        pool.terminate()
