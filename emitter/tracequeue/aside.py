"""Awaiting what blocks, in a thread of its own: the event loop's threads may all be busy with the bot's work."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


async def aside(call: Callable[[], Result]) -> Result:
    """The result of `call`. At the end of the interpreter no thread can be had: then it is called here."""
    executor = ThreadPoolExecutor(1, "tracequeue-waiting")
    try:
        future = asyncio.get_running_loop().run_in_executor(executor, call)
    except RuntimeError:
        return call()
    finally:
        executor.shutdown(wait=False)
    return await future
