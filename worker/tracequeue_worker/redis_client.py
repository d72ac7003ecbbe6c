"""Connections to Redis: one client for blocking reads, one for short commands. Neither retries behind our back."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from tracequeue_worker.cancellation import leave_if_cancelled
from tracequeue_worker.classify import classify, cure_of
from tracequeue_worker.errors import Fatal, Transient

CONNECT_SECONDS = 3.0
COMMAND_SECONDS = 5.0
READ_MARGIN_SECONDS = 5.0
"""How much longer than the block time a read waits: a timeout below it would loop inside the client for ever."""


def command_client(url: str) -> Redis:
    """A client for commands that answer at once."""
    return _client(url, COMMAND_SECONDS)


def reading_client(url: str, block_ms: int) -> Redis:
    """A client for reads that block up to `block_ms`; a reply lost here leaves its entries pending under our name."""
    return _client(url, block_ms / 1000 + READ_MARGIN_SECONDS)


def _client(url: str, timeout: float) -> Redis:
    pool = ConnectionPool.from_url(url)
    pool.connection_kwargs |= {
        "protocol": 2,
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": timeout,
        "socket_connect_timeout": CONNECT_SECONDS,
    }  # after the URL was read: its options would win, and a socket timeout below the block time fails every read
    return Redis.from_pool(pool)


@asynccontextmanager
async def talking_to(client: Redis) -> AsyncIterator[None]:
    """Turn what redis-py raises into `Transient` or `Fatal`; leave a demoted primary by dropping its connections."""
    try:
        yield
        leave_if_cancelled()
    except (RedisError, OSError) as error:
        leave_if_cancelled()
        if isinstance(error, ReadOnlyError):
            await client.connection_pool.disconnect(inuse_connections=False)
        raise redis_failure(error) from error


async def unless_missing(client: Redis, command: Awaitable[Any]) -> Any:
    """The reply, or None where there is no such stream or group. Raises `Transient` or `Fatal`."""
    async with talking_to(client):
        try:
            return await command
        except ResponseError as error:
            if "no such key" in str(error) or str(error).startswith("NOGROUP"):
                return None
            raise


def redis_failure(error: BaseException) -> Transient | Fatal:
    """The class of failure of a Redis error, with its text and cure. A Redis error is never one record's fault."""
    kind = Fatal if classify(error) is Fatal else Transient
    words = [f"Redis: {str(error) or type(error).__name__}", cure_of(error)]
    return kind(": ".join(word for word in words if word))


def script_failure(text: bytes) -> Transient | Fatal:
    """The class of failure of an error that a script caught and returned as its text."""
    said = text.decode("utf-8", "replace")
    kinds = {"READONLY": ReadOnlyError, "OOM": OutOfMemoryError}
    return redis_failure(kinds.get(said.partition(" ")[0], ResponseError)(said))
