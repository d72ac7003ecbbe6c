"""Worker processes of `up` and `demo`: children that never outlive their starter."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tracequeue_worker.embedded import guard
from tracequeue_worker.embedded.servers import Servers
from tracequeue_worker.settings import WorkerSettings

WORKER = (sys.executable, "-P", "-m", "tracequeue_worker", "worker")
STOP = "SIGTERM"
"""Unlike SIGINT it leaves no traceback of a worker that is still importing."""
HEALTH_PORT = "TRACEQUEUE_HEALTH_PORT"


class WorkerProcess:
    """A `tracequeue worker` behind the guard, in a session of its own: Ctrl-C reaches the starter only."""

    def __init__(self, consumer: str, environment: Mapping[str, str], output: BinaryIO | None) -> None:
        self.consumer = consumer
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, "", STOP, *WORKER],
            env={**environment, "TRACEQUEUE_CONSUMER": consumer},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def kill(self) -> None:
        """SIGKILL the worker: it finishes nothing."""
        self._guard.send_signal(signal.SIGUSR1)
        self._guard.wait()

    def ask_to_stop(self) -> None:
        if self._guard.stdin is not None:
            self._guard.stdin.close()

    def wait(self) -> int:
        return self._guard.wait()

    def exit_code(self) -> int | None:
        """None while the worker runs."""
        return self._guard.poll()


@contextmanager
def worker_processes(
    consumers: Sequence[str], environment: Mapping[str, str], log: Path | None = None
) -> Iterator[list[WorkerProcess]]:
    """Run one worker per name until the block is left; then each finishes what it has in hand. Output goes to `log`.

    They share a machine: of a health port that is set the first takes that one, the others those after it.
    """
    workers: list[WorkerProcess] = []
    output = log.open("ab") if log is not None else None
    try:
        for number, consumer in enumerate(consumers):
            own = {**environment, **_health_port(environment, number)}
            workers.append(WorkerProcess(consumer, own, output))
        yield workers
    finally:
        for worker in workers:
            worker.ask_to_stop()
        for worker in workers:
            worker.wait()
        if output is not None:
            output.close()


def _health_port(environment: Mapping[str, str], number: int) -> dict[str, str]:
    first = environment.get(HEALTH_PORT)
    return {HEALTH_PORT: str(int(first) + number)} if first else {}


def environment_of(settings: WorkerSettings, servers: Servers, **overrides: str) -> dict[str, str]:
    """What a bot or a worker on this machine needs in its environment to use these servers."""
    return {
        **os.environ,
        "TRACEQUEUE_REDIS_URL": servers.redis_url,
        "TRACEQUEUE_DATABASE_URL": servers.database_url,
        "TRACEQUEUE_PREFIX": settings.prefix,
        **overrides,
    }
