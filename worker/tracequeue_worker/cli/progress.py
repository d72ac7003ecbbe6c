"""Showing how far something is while it goes on: a bar on a terminal, a line now and then elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

REFRESH_SECONDS: Final = 0.2
"""Between two looks of a bar."""
LINE_SECONDS: Final = 10.0
"""Between two lines."""


@asynccontextmanager
async def shown(bar: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run what shows it until the block is left."""
    showing = asyncio.create_task(bar, name="tracequeue progress")
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.wait({showing})
