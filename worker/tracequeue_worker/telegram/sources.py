"""What the admin commands read from: the stored traces, and the streams where events wait or were refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from redis.asyncio import Redis

from tracequeue_worker.database import create_pool
from tracequeue_worker.redis_client import command_client
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership
from tracequeue_worker.telegram.arguments import WrongArgument

STATEMENT_SECONDS = 20.0
"""What takes longer is no answer for a chat."""
CANARY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class TraceStreams:
    """The streams of a deployment. The client answers in bytes, as `redis_client.command_client` makes one."""

    client: Redis
    membership: Membership
    canary_seconds: float = CANARY_SECONDS
    """How long a retry of dead letters waits to learn what became of the first of them."""


class TraceSources(NamedTuple):
    """For `dispatcher["trace_repo"]` and `dispatcher["trace_streams"]`."""

    trace_repo: TraceRepo
    trace_streams: TraceStreams


def given(streams: TraceStreams | None) -> TraceStreams:
    """The streams that a command needs. Raises `WrongArgument` where the bot has none."""
    if streams is None:
        raise WrongArgument('this bot does not look at Redis: set dispatcher["trace_streams"] = TraceStreams(...)')
    return streams


@asynccontextmanager
async def trace_sources(settings: WorkerSettings | None = None) -> AsyncIterator[TraceSources]:
    """Both, from the same settings as the worker's: `dispatcher.workflow_data |= sources._asdict()`.

    The settings come from the environment unless they are given. It reads under the reader's role. Nothing is connected
    before a command needs it: a bot starts without its database and its Redis, and the command says what cannot be
    reached.
    """
    settings = settings or WorkerSettings.load()
    pool = await create_pool(settings, role="tracequeue_reader", deadline=STATEMENT_SECONDS, at_once=False)
    try:
        async with command_client(settings.redis_url.get_secret_value()) as client:
            yield TraceSources(TraceRepo(pool), TraceStreams(client, Membership.of(settings)))
    finally:
        pool.terminate()
