"""What runs beside the pipeline: a defect in one chore ends it alone, and is not hidden."""

import asyncio

import pytest

from tests.fixtures.polling import eventually
from tracequeue_worker.errors import Fatal
from tracequeue_worker.housekeeping import Chore, Housekeeping


async def test_a_defect_ends_one_chore_and_stays_its_trouble(caplog: pytest.LogCaptureFixture) -> None:
    done = []

    async def broken() -> None:
        raise ZeroDivisionError("nobody thought of it")

    async def sound() -> None:
        done.append(1)

    chores = [Chore("broken", "trimming", 0.001, broken), Chore("sound", "looking", 0.001, sound)]
    work = asyncio.create_task(Housekeeping(chores).run())
    await eventually(lambda: len(done) > 3)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    trouble = chores[0].patience.trouble
    assert isinstance(trouble, Fatal)
    assert "ZeroDivisionError" in str(trouble)
    assert "restart the worker" in str(trouble)
    assert chores[1].patience.trouble is None
    assert "nobody thought of it" in caplog.text
