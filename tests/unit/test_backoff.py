"""Trying for ever, and saying so once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.fixtures.polling import eventually
from tracequeue_worker import backoff
from tracequeue_worker.backoff import Backoff, Patience
from tracequeue_worker.errors import Fatal, Transient


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    left = list(errors)

    async def operation() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return operation


def test_pauses_double_up_to_a_cap_and_are_jittered_by_half() -> None:
    pauses = Backoff(first=1, longest=4)
    for cap in (1, 2, 4, 4):
        assert cap / 2 <= pauses.pause() <= cap
    pauses.reset()
    assert pauses.pause() <= 1


async def test_each_state_is_logged_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "PROBE_SECONDS", 0.01)
    caplog.set_level("INFO")
    patience = Patience("writing")
    assert await patience.until_done(failing(Transient("a"), Transient("b"), Fatal("c"), Fatal("d"))) == "done"
    assert [record.message.partition(":")[0] for record in caplog.records] == ["degraded", "held", "recovered"]
    assert patience.trouble is None


async def test_a_fatal_may_end_it_and_a_transient_never_does() -> None:
    with pytest.raises(Fatal):
        await Patience("draining", fatal_ends=True).until_done(failing(Transient("a"), Fatal("b")))


async def test_other_errors_go_through() -> None:
    with pytest.raises(ZeroDivisionError):
        await Patience("x").until_done(failing(ZeroDivisionError()))


async def test_the_last_failure_is_raised_once_it_is_over() -> None:
    over = asyncio.Event()
    patience = Patience("reading", until=over)
    task = asyncio.create_task(patience.until_done(failing(*[Transient(str(number)) for number in range(1000)])))
    await eventually(lambda: patience.trouble is not None)
    over.set()
    with pytest.raises(Transient):
        await task


async def test_a_cancellation_that_became_an_error_still_ends_it() -> None:
    async def swallowing() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise Transient("the connection broke") from None

    task = asyncio.create_task(Patience("reading").until_done(swallowing))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
