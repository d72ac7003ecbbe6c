"""Grouping and finding dead letters, on fakeredis: XADD and XRANGE without blocking are faithful there."""

from collections.abc import AsyncIterator

import pytest
from fakeredis import FakeAsyncRedis

from tracequeue_worker.dead_letters.reader import PAGE, DeadLetters
from tracequeue_worker.settings import WorkerSettings
from tracequeue_worker.streams import Membership


@pytest.fixture
async def client() -> AsyncIterator[FakeAsyncRedis]:
    async with FakeAsyncRedis() as made:
        yield made


def letters(client: FakeAsyncRedis, partitions: int = 1) -> DeadLetters:
    return DeadLetters(client, Membership.of(WorkerSettings.load(partitions=partitions)))


async def write(client: FakeAsyncRedis, reason: str, error: str, partition: int = 0, **fields: str) -> str:
    letter = {"reason": reason, "error": error, "raw": b"{}", **fields}
    return (await client.xadd(f"{{tracequeue:{partition}}}:dead", letter)).decode()


async def test_letters_are_grouped_by_what_their_errors_have_in_common(client: FakeAsyncRedis) -> None:
    first = await write(client, "schema", "span.span_id: 'abc' is 3 characters", src="a" * 32)
    await write(client, "schema", "span.span_id: 'de' is 2 characters", src="b" * 32)
    last = await write(client, "schema", "span.span_id: '' is 0 characters")
    await write(client, "count", "the frame says '3' events and holds 2")
    schema, count = await letters(client).groups()
    assert (schema.reason, schema.count, schema.first, schema.last) == ("schema", 3, first, last)
    assert schema.error == "span.span_id: … is … characters"
    assert schema.emitters == {"a" * 32, "b" * 32}
    assert (count.reason, count.count) == ("count", 1)


async def test_more_letters_than_a_page(client: FakeAsyncRedis) -> None:
    for number in range(2 * PAGE + 1):
        await write(client, "schema", f"number {number}")
    (group,) = await letters(client).groups()
    assert group.count == 2 * PAGE + 1


async def test_a_letter_is_found_by_its_id_in_its_partition(client: FakeAsyncRedis) -> None:
    entry = await write(client, "count", "in the second", partition=1, deliveries="3")
    found = await letters(client, partitions=2).get(f"1:{entry}")
    assert found is not None
    assert (found.id, found.reason, found.facts["deliveries"]) == (f"1:{entry}", "count", 3)
    assert await letters(client, partitions=2).get(f"0:{entry}") is None
    assert await letters(client).get(f"7:{entry}") is None
