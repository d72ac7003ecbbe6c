"""What a worker does beside the pipeline, at its own pace. A failure is held and told; it never stops the pipeline."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

from tracequeue_worker.backoff import Patience
from tracequeue_worker.errors import Fatal, Transient

log = logging.getLogger(__name__)


class Chore:
    """One thing that is done again and again, every so many seconds. `patience.trouble` says what is wrong with it."""

    def __init__(self, name: str, what: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self.patience = Patience(what)
        self._seconds = seconds
        self._work = work

    async def run(self) -> None:
        """Until cancelled. A defect ends this chore alone, is logged whole, and stays its trouble."""
        try:
            while True:
                await self.patience.until_done(self._work)
                await asyncio.sleep(self._seconds * random.uniform(0.75, 1.25))  # noqa: S311  # workers out of step
        except Exception as defect:
            log.exception("no longer %s", self.patience.what)
            self.patience.failed(Fatal(f"{type(defect).__name__}: a defect, report it, and restart the worker"))

    async def once(self) -> None:
        try:
            await self._work()
        except (Transient, Fatal) as error:
            self.patience.failed(error)
        else:
            self.patience.recovered()


class Housekeeping:
    """The chores of one worker."""

    def __init__(self, chores: Sequence[Chore] = ()) -> None:
        self._chores = chores

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for chore in self._chores:
                tasks.create_task(chore.run(), name=f"tracequeue {chore.name}")

    async def once(self) -> None:
        """Every chore once, as far as it works: before the first read, and after the last."""
        for chore in self._chores:
            await chore.once()

    @property
    def patience(self) -> dict[str, Patience]:
        """How each chore goes, by its name."""
        return {chore.name: chore.patience for chore in self._chores}
