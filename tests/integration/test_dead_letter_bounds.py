"""Bounds of the dead letters on a real Redis: the oldest go first, after a warning, and it is said what went."""

import logging

import pytest
from redis.asyncio import Redis

from tests.fixtures.stream import Stream
from tracequeue_worker.dead_letters.bounds import AT_ONCE, DeadLetterBounds
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership

LARGE = 10**12


@pytest.fixture
def membership(prefix: str) -> Membership:
    return Membership.of(WorkerSettings(prefix=prefix))


async def letters(client: Redis, stream: Stream, count: int, *, size: int = 100, reason: str = "schema") -> None:
    pipeline = client.pipeline(transaction=False)
    for _ in range(count):
        pipeline.xadd(stream.dead, {"reason": reason, "raw": b"x" * size})
    await pipeline.execute()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


async def test_within_bounds_nothing_goes_and_nothing_is_said(
    redis_client: Redis, stream: Stream, membership: Membership, caplog: pytest.LogCaptureFixture
) -> None:
    bounds = DeadLetterBounds(redis_client, membership, most_bytes=LARGE, most_seconds=LARGE)
    await bounds.enforce()
    await letters(redis_client, stream, 10)
    await bounds.enforce()
    assert await redis_client.xlen(stream.dead) == 10
    assert caplog.messages == []


async def test_too_many_bytes(
    redis_client: Redis, stream: Stream, membership: Membership, caplog: pytest.LogCaptureFixture
) -> None:
    """Also with letters of very different size, and more of them than go at once."""
    await letters(redis_client, stream, 2 * AT_ONCE, reason="schema")
    await letters(redis_client, stream, 3, size=1_000_000, reason="too_large")
    await letters(redis_client, stream, 5, reason="store:22P02")
    bounds = DeadLetterBounds(redis_client, membership, most_bytes=2_500_000, most_seconds=LARGE)
    await bounds.enforce()

    left = [fields[b"reason"] for _, fields in await redis_client.xrange(stream.dead)]
    assert left == [b"too_large"] * 2 + [b"store:22P02"] * 5
    assert await redis_client.memory_usage(stream.dead, samples=0) <= 2_500_000
    assert bounds.dropped == 2 * AT_ONCE + 1
    (error,) = errors(caplog)
    assert f"{2 * AT_ONCE} schema, 1 too_large" in error


async def test_too_old(
    redis_client: Redis, stream: Stream, membership: Membership, caplog: pytest.LogCaptureFixture
) -> None:
    seconds, _ = await redis_client.time()
    await redis_client.xadd(stream.dead, {"reason": "schema"}, id=f"{(seconds - 100) * 1000}-0")
    await letters(redis_client, stream, 1)
    await DeadLetterBounds(redis_client, membership, most_bytes=LARGE, most_seconds=90).enforce()
    assert await redis_client.xlen(stream.dead) == 1
    (error,) = errors(caplog)
    assert "1 dead letters" in error


@pytest.mark.parametrize("near", ["bytes", "age"])
async def test_a_warning_with_the_cure_before_anything_goes(
    redis_client: Redis, stream: Stream, membership: Membership, caplog: pytest.LogCaptureFixture, near: str
) -> None:
    seconds, _ = await redis_client.time()
    await redis_client.xadd(stream.dead, {"reason": "schema", "raw": b"x" * 90_000}, id=f"{(seconds - 90) * 1000}-0")
    most = {"most_bytes": 100_000 if near == "bytes" else LARGE, "most_seconds": 100 if near == "age" else LARGE}
    bounds = DeadLetterBounds(redis_client, membership, **most)
    for _ in range(2):
        await bounds.enforce()
    (said,) = caplog.messages
    assert "tracequeue dlq export FILE" in said
    assert await redis_client.xlen(stream.dead) == 1

    await redis_client.delete(stream.dead)
    await bounds.enforce()
    await letters(redis_client, stream, 1, size=90_000)
    await bounds.enforce()
    assert len(caplog.messages) == (2 if near == "bytes" else 1), "it is said again when it happens again"
