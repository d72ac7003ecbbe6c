"""Where a replay goes on when its source has no position between things that were read: in the middle of a block."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.command import Command
from tests.fixtures.oracle import Site
from tests.fixtures.replays import contents, fetch, fill
from tracequeue_worker.bounds import Bounds
from tracequeue_worker.replay.checkpoint import Figures
from tracequeue_worker.replay.files import FileSource
from tracequeue_worker.replay.models import ReplayReport
from tracequeue_worker.replay.progress import Progress
from tracequeue_worker.replay.replayer import Replayer
from tracequeue_worker.replay.source import Taken
from tracequeue_worker.replay.steps import Position
from tracequeue_worker.replay.store import DatabaseStore
from tracequeue_worker.replay.target import Target
from tracequeue_worker.settings import WorkerSettings

BETWEEN = "SELECT part FROM pipeline_replay_parts WHERE position NOT LIKE '0@%' AND position <> ''"


class Stopping(Progress):
    """Stops its replay behind every batch."""

    stop: Callable[[], None]

    def add(self, found: Figures) -> None:
        super().add(found)
        self.stop()


@pytest.mark.parametrize("position", [Position(), Position(None, 3), Position("5-1"), Position("5@1", 7)])
def test_a_position_is_the_same_when_it_was_written_down(position: Position) -> None:
    assert Position.parse(position.text) == position


def test_things_between_two_positions_are_counted() -> None:
    between = Position("10").behind(Taken(None, None, 1)).behind(Taken(None, None, 1))  # type: ignore[arg-type]
    assert between == Position("10", 2)
    assert between.behind(Taken(None, "20", 1)) == Position("20")  # type: ignore[arg-type]


async def test_stopped_in_the_middle_of_a_block_again_and_again(site: Site, command: Command, target_url: str) -> None:
    await fill(site)
    await site.drain()
    folder = command.folder / "history"
    assert (await asyncio.to_thread(command, "export", "--out", str(folder))).code == 0
    settings = site.settings(database_url=target_url, batch_rows=20)
    reports = [await _one_batch(settings, sorted(folder.iterdir()))]
    met = 0
    while not reports[-1].finished:
        met += bool(await fetch(target_url, BETWEEN))
        reports.append(await _one_batch(settings, sorted(folder.iterdir())))
    assert met > 5
    last = reports[-1]
    assert last.complete
    assert last.resumed
    assert (last.frames, last.events, last.written, last.present) == (50, 250, 250, 0)
    assert [report.events for report in reports] == sorted(report.events for report in reports)
    assert await contents(target_url) == await contents(site.database_url)


async def _one_batch(settings: WorkerSettings, paths: list[Path]) -> ReplayReport:
    progress = Stopping()
    async with DatabaseStore.open(Target(settings)) as store:
        replayer = Replayer(FileSource.of(paths, Bounds()), store, settings, progress=progress)
        progress.stop = replayer.stop
        return await replayer.run()
