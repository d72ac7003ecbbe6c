"""What the looking commands read from: a Redis client and a repository, closed at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from redis.asyncio import Redis

from tracequeue_worker.classify import failure
from tracequeue_worker.database import DEADLINE, create_pool
from tracequeue_worker.preflight import check_redis
from tracequeue_worker.redis_client import command_client
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership


@asynccontextmanager
async def repository(settings: WorkerSettings) -> AsyncIterator[TraceRepo]:
    """The read side, under the reader's role. Raises `Unreachable` or `Fatal`."""
    async with database(settings) as pool:
        yield TraceRepo(pool)


@asynccontextmanager
async def database(settings: WorkerSettings, *, deadline: float = DEADLINE) -> AsyncIterator[asyncpg.Pool]:
    """A connection under the reader's role. Raises `Unreachable` or `Fatal`."""
    pool = await create_pool(settings, role="tracequeue_reader", size=1, deadline=deadline)
    try:
        yield pool
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise failure(error) from None
    finally:
        pool.terminate()


@asynccontextmanager
async def streams(settings: WorkerSettings) -> AsyncIterator[tuple[Redis, Membership]]:
    """A client that answers, and the streams of this deployment. Raises `Unreachable` or `Fatal`."""
    url = settings.redis_url.get_secret_value()
    membership = Membership.of(settings)
    async with command_client(url) as client:
        await check_redis(client, url, membership)
        yield client, membership
