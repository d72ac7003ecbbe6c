"""A real worker that says one line and stands still at the moment named on its command line, to be killed there."""

import asyncio
import sys
from collections.abc import Sequence

from tracequeue_worker.pipeline import Pipeline
from tracequeue_worker.records import DecodedFrame, Stored
from tracequeue_worker.service import run
from tracequeue_worker.settings import WorkerSettings


async def stand_still(moment: str) -> None:
    sys.stdout.write(f"{moment}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def halt_at(moment: str) -> None:
    write, settle = Pipeline._write, Pipeline._settle

    async def halting_write(self: Pipeline, batch: Sequence[DecodedFrame]) -> list[Stored]:
        if moment == "read":
            await stand_still(moment)
        stored = await write(self, batch)
        if moment == "committed":
            await stand_still(moment)
        return stored

    async def halting_settle(self: Pipeline, stored: Sequence[Stored]) -> None:
        await settle(self, stored)
        if moment == "settled":
            await stand_still(moment)

    Pipeline._write, Pipeline._settle = halting_write, halting_settle  # type: ignore[method-assign]


if __name__ == "__main__":
    halt_at(sys.argv[1])
    asyncio.run(run(WorkerSettings.load()))
