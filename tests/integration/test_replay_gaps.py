"""Frame numbers that neither a replay read nor its target knows: nothing else is a gap."""

from uuid import UUID, uuid4

import asyncpg
import pytest

from tracequeue_worker.replay.gaps import find_gaps
from tracequeue_worker.replay.models import Gap

EMITTER, OTHER = (UUID(int=number) for number in (1, 2))
LAST = 2**63 - 1


class Target:
    """What a replay read, and what the ledger of its target knows."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self.replay_id = uuid4()

    async def read(self, numbers: str, emitter: UUID = EMITTER, partition: int = 0) -> None:
        await self.connection.execute(
            "INSERT INTO pipeline_replay_numbers VALUES ($1, $2, $3, $4::text::int8multirange)",
            self.replay_id, emitter, partition, numbers,
        )  # fmt: skip

    async def store(self, *numbers: int, emitter: UUID = EMITTER, partition: int = 0) -> None:
        await self.connection.execute(
            "INSERT INTO pipeline_frames (emitter_id, partition, seq, digest, stream, entry_id, events) "
            "SELECT $1, $2, seq, '', '', '', 1 FROM unnest($3::bigint[]) AS seq",
            emitter, partition, numbers,
        )  # fmt: skip

    async def settle(self, numbers: str) -> None:
        await self.connection.execute(
            "INSERT INTO pipeline_settled VALUES ($1, 0, $2::text::int8multirange, 0, 0)", EMITTER, numbers
        )

    async def gaps(self, *, from_the_middle: bool = False) -> list[tuple[int, int, str]]:
        found = await find_gaps(self.connection, self.replay_id, from_the_middle=from_the_middle)
        return [(gap.first, gap.last, gap.cause) for gap in found]


@pytest.fixture
async def target(database: asyncpg.Connection) -> Target:
    return Target(database)


async def test_a_source_that_holds_everything_has_none(target: Target) -> None:
    await target.read("{[1,101)}")
    assert await target.gaps() == []


async def test_what_is_before_the_first_frame_was_trimmed_and_what_is_between_is_missing(target: Target) -> None:
    await target.read("{[5,7),[9,10),[12,20)}")
    assert await target.gaps() == [(1, 4, "trimmed"), (7, 8, "missing"), (10, 11, "missing")]


async def test_what_the_target_knows_is_no_gap(target: Target) -> None:
    await target.read("{[5,7),[12,20)}")
    await target.store(1, 2, 4, 8, 9)
    assert await target.gaps() == [(3, 3, "trimmed"), (7, 7, "missing"), (10, 11, "missing")]


async def test_what_the_target_knew_before_its_ledger_was_pruned_is_no_gap(target: Target) -> None:
    await target.read("{[5,7),[12,20)}")
    await target.settle("{[1,4),[9,11)}")
    await target.store(7, 11)
    assert await target.gaps() == [(4, 4, "trimmed"), (8, 8, "missing")]


async def test_what_came_after_the_replay_is_no_gap(target: Target) -> None:
    await target.read("{[1,5)}")
    await target.store(5, 9)
    assert await target.gaps() == []


async def test_a_replay_from_the_middle_misses_nothing_before_what_it_read(target: Target) -> None:
    await target.read("{[5,7),[9,10)}")
    assert await target.gaps(from_the_middle=True) == [(7, 8, "missing")]


async def test_emitters_and_partitions_are_apart(target: Target) -> None:
    await target.read("{[2,3)}")
    await target.read("{[2,3)}", emitter=OTHER)
    await target.read("{[2,3)}", partition=1)
    await target.read("{[2,3)}", emitter=OTHER, partition=1)
    await target.store(1, emitter=OTHER)
    await target.store(1, emitter=uuid4())
    assert await find_gaps(target.connection, target.replay_id, from_the_middle=False) == [
        Gap(emitter_id=emitter, partition=partition, first=1, last=1, cause="trimmed")
        for emitter, partition in ((EMITTER, 0), (EMITTER, 1), (OTHER, 1))
    ]
    assert await find_gaps(target.connection, uuid4(), from_the_middle=False) == []


async def test_the_ends_of_the_numbers_are_no_trouble(target: Target) -> None:
    await target.read(f"{{[{LAST - 1},{LAST})}}")
    await target.store(1, LAST)
    assert await target.gaps() == [(2, LAST - 2, "trimmed")]


async def test_a_replay_that_read_nothing_numbered_has_none(target: Target) -> None:
    await target.read("{}")
    assert await target.gaps() == []
