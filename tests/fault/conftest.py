"""A deployment whose Redis is the test's own: it may be flushed, demoted, frozen and killed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.fixtures.oracle import Site
from tests.fixtures.own_servers import OwnServer
from tracequeue_worker import backoff

PROBE_SECONDS = 0.5
"""A person takes longer to cure something than a test."""


@pytest.fixture
async def own_site(own_redis: OwnServer, prefix: str, migrated_database_url: str) -> AsyncIterator[Site]:
    async with (
        Redis.from_url(own_redis.url, retry=Retry(NoBackoff(), 0), socket_timeout=30) as client,
        AsyncExitStack() as closing,
    ):
        yield Site(own_redis.url, prefix, migrated_database_url, client, closing)


@pytest.fixture
def soon_cured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held because it needs a person is looked at again soon."""
    monkeypatch.setattr(backoff, "PROBE_SECONDS", PROBE_SECONDS)
