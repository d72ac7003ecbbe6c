"""A cancellation must not get lost on the way through a client library.

redis-py awaits each command's sending in `asyncio.wait_for`, which on Python 3.11 drops a cancellation that arrives in
the moment the sending is done; a worker that tries for ever would then never end.
"""

import asyncio


def leave_if_cancelled() -> None:
    """Raise `CancelledError` if this task was asked to end and has not noticed."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
