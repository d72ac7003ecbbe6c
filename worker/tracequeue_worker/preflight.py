"""Is this Redis fit to keep frames until they are stored? Asked once, at start, so that the answer comes in words."""

import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from tracequeue.tls import tls_cure
from tracequeue_worker.classify import classify
from tracequeue_worker.errors import Fatal, Unreachable
from tracequeue_worker.redis_client import talking_to
from tracequeue_worker.streams import Membership

OLDEST = (6, 2)

log = logging.getLogger(__name__)


async def check_redis(client: Redis, url: str, membership: Membership) -> None:
    """Raises `Unreachable`, or `Fatal` with the cure."""
    try:
        await client.ping()
        await _check_server(client)
        for stream in membership.streams:
            await _check_stream(client, stream.decode())
            await _check_stream(client, membership.dead(stream))
    except (RedisError, OSError) as error:
        raise named(url, error) from None


async def _check_server(client: Redis) -> None:
    try:
        facts = await client.info()
    except NoPermissionError:
        log.warning(
            "this Redis user may not run INFO: the version and the eviction policy are not checked, and settled frames "
            "are not trimmed early when memory is short: allow `+info` in its ACL"
        )
        return
    version = str(facts.get("redis_version", ""))
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers and numbers < OLDEST:
        raise Fatal(f"Redis {version} is too old: 6.2 or later is needed, 7.0 or Valkey 7.2 is better")
    _check_policy(facts)


async def check_policy(client: Redis) -> None:
    """Whether Redis still keeps what it has: the policy can be changed while it runs. Raises `Transient` or `Fatal`."""
    async with talking_to(client):
        try:
            facts = await client.info("memory")
        except NoPermissionError:  # said at start
            return
    _check_policy(facts)


def _check_policy(facts: Mapping[str, Any]) -> None:
    policy = str(facts.get("maxmemory_policy", "noeviction"))
    if policy.startswith("allkeys"):
        raise Fatal(
            f"Redis evicts whole streams when its memory is full (maxmemory-policy {policy}): "
            "run `CONFIG SET maxmemory-policy noeviction`, and set it in redis.conf"
        )


async def _check_stream(client: Redis, key: str) -> None:
    kind = await client.type(key)
    if kind not in (b"none", b"stream"):
        raise Fatal(f"the Redis key {key} holds no stream but {kind!r}: rename it, or set another TRACEQUEUE_PREFIX")


def named(url: str, error: RedisError | OSError) -> Fatal | Unreachable:
    """What went wrong with the server of a URL, and the cure; without user and password."""
    server, said = f"Redis at {address_of(url)}", str(error).rstrip(".")
    if classify(error) is Fatal:
        return Fatal(f"{server} refuses us: {said}: check user, password and rights in TRACEQUEUE_REDIS_URL")
    cure = tls_cure(error, "ssl_ca_certs") or "start it, or check TRACEQUEUE_REDIS_URL"
    return Unreachable(f"{server} cannot be reached: {said}: {cure}")


def address_of(url: str) -> str:
    """Where the server is, and which of its databases, unless it is the first; without user and password."""
    parts = urlsplit(url)
    number = parse_qs(parts.query).get("db", [parts.path.strip("/") if parts.hostname else ""])[0]
    database = f"/{number}" if number not in ("", "0") else ""
    try:
        return (f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else parts.path) + database
    except ValueError:
        return "the address in TRACEQUEUE_REDIS_URL"
