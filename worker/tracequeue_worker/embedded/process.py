"""A server as a child process: started behind the guard, awaited until it answers, stopped at the end."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tracequeue_worker.embedded import guard
from tracequeue_worker.embedded.folder import Folder
from tracequeue_worker.errors import Unreachable

READY_SECONDS = 60
POLL_SECONDS = 0.02
STOP = "SIGINT"
"""A fast and clean shutdown for Postgres and Redis alike."""


@contextmanager
def running(
    name: str, command: Sequence[str | Path], *, folder: Folder, ready: Callable[[], bool], user: str = ""
) -> Iterator[None]:
    """Run `command` until the block is left; enter it once `ready()` is true. Raises `Unreachable` with the log.

    The guard keeps the lock of `folder` as long as the server runs, even if this process is killed.
    """
    with folder.log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, user, STOP, *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=(folder.lock,),
            start_new_session=True,
            env=os.environ | {"LC_ALL": "C"},
        )
    try:
        _await(name, process, folder, ready)
        yield
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait()


def _await(name: str, process: subprocess.Popen[bytes], folder: Folder, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if process.poll() is not None:
            raise Unreachable(f"{name} did not start: {folder.last_words()}")
        if time.monotonic() > deadline:
            raise Unreachable(f"{name} does not answer after {READY_SECONDS} s: {folder.last_words()}")
        time.sleep(POLL_SECONDS)
