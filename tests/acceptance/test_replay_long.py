"""A long replay that is killed twice: the same database as the workers' in the end, and never more memory."""

import json
import signal
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from tests.fixtures.command import Command
from tests.fixtures.oracle import LONGEST_SECONDS
from tests.fixtures.polling import eventually
from tests.fixtures.postgres import database
from tests.fixtures.replays import contents, fetch
from tests.fixtures.spans import Backlog

SPANS, FEWER = 80_000, 10_000
MORE_MEMORY = 1.25
"""What kept 400 bytes of a span would need more."""
FULL_SOON = {"TRACEQUEUE_BATCH_ROWS": "1000"}
"""So that all that is ever full at once is full within the fewer spans too."""
DONE = "SELECT coalesce(sum(done), 0) AS frames FROM pipeline_replay_parts"


@pytest.fixture
def other_url(postgres_url: str, templates: dict[str, str]) -> Iterator[str]:
    """A third database with all migrations applied."""
    with database(postgres_url, templates[postgres_url]) as url:
        yield url


async def replay(command: Command, target: str, prefix: str, *, kill_at: int | None = None) -> tuple[int, int, str]:
    """How a replay ended, its peak of memory, and what it said. It is killed when so many frames are stored."""
    variables = {"TRACEQUEUE_PREFIX": prefix, "TRACEQUEUE_DATABASE_URL": target, **FULL_SOON}
    with command.start("replay", "--json", **variables) as process:
        watched, peak = psutil.Process(process.pid), 0

        def ended() -> bool:
            nonlocal peak
            with suppress(psutil.Error):
                peak = max(peak, int(watched.memory_info().rss))
            return process.poll() is not None

        async def due() -> bool:
            return ended() or await reached(target, kill_at or 0)

        if kill_at is not None:
            await eventually(due, LONGEST_SECONDS)
            process.send_signal(signal.SIGKILL)
        await eventually(ended, LONGEST_SECONDS)
        assert process.stdout
        return process.returncode, peak, process.stdout.read()


async def reached(target: str, frames: int) -> bool:
    (row,) = await fetch(target, DONE)
    return bool(row["frames"] >= frames)


async def test_a_long_replay_that_is_killed_twice(
    command: Command, redis_url: str, prefix: str, migrated_database_url: str, target_url: str, other_url: str
) -> None:
    few, spans = f"{prefix}few", Backlog(SPANS)
    Backlog(FEWER).send(redis_url, few)
    code, peak, _ = await replay(command, other_url, few)
    assert code == 0

    frames = spans.send(redis_url, prefix)
    assert command("worker", "--drain").code == 0
    for part in (1, 2):
        code, killed_peak, out = await replay(command, target_url, prefix, kill_at=frames * part // 10)
        assert (code, out) == (-signal.SIGKILL, "")
        assert killed_peak < MORE_MEMORY * peak
    code, last_peak, out = await replay(command, target_url, prefix)
    assert code == 0
    assert last_peak < MORE_MEMORY * peak
    report = json.loads(out)
    assert (report["complete"], report["resumed"]) == (True, True)
    assert (report["frames"], report["written"], report["present"]) == (frames, SPANS, 0)
    await spans.assert_stored_once(target_url, traces=frames)
    assert await contents(target_url) == await contents(migrated_database_url)
