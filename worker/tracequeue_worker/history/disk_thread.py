"""Awaiting what blocks on a disk, in a thread that holds up neither the event loop nor the end of the process."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


async def on_disk(call: Callable[[], Result]) -> Result:
    """The result of `call`. Whoever is cancelled here leaves the call to end by itself."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def work() -> None:
        try:
            result = call()
        except BaseException as error:  # it is the caller's
            tell(done.set_exception, error)
        else:
            tell(done.set_result, result)

    def tell(how: Callable[..., None], what: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if done.done() else how(what))

    threading.Thread(target=work, name="tracequeue archive", daemon=True).start()
    return await done
