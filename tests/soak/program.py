"""A bot or a worker as a process behind a guard: it can be killed, stopped and frozen, and never outlives the soak."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.fixtures.polling import eventually
from tracequeue_worker.embedded import guard

ROOT = Path(__file__).parents[2]
GUARDED = (sys.executable, "-I", "-S", guard.__file__, "", "SIGTERM")
ENDING_SECONDS = 90.0
"""For a bot that has much to send to a Redis that is away, and for a worker with a frozen store."""
ENDED_WELL = (0, -signal.SIGTERM & 0xFF)
"""By itself, or asked to while it was still importing."""


class Hangs(Exception):
    """A process does not end."""


class Program:
    """One place in the deployment, for one process after another."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._environment = environment
        self._log = log
        self._guard: Process | None = None
        self._process: psutil.Process | None = None

    async def start(self, *command: str) -> None:
        with self._log.open("ab") as output:
            self._guard = await asyncio.create_subprocess_exec(
                *GUARDED, *command,
                cwd=ROOT, env=self._environment, stdin=asyncio.subprocess.PIPE, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        self._process = await eventually(self._found)

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(psutil.NoSuchProcess):
                self._process.send_signal(number)

    async def ended(self) -> int:
        """How it ended. Raises `Hangs` if it does not."""
        if self._guard is None:
            return 0
        try:
            async with asyncio.timeout(ENDING_SECONDS):
                return await self._guard.wait()
        except TimeoutError:
            raise Hangs(f"{self.name} does not end within {ENDING_SECONDS:.0f} s: {self.last_words()}") from None

    async def stop(self) -> int:
        """SIGTERM, and how it ended."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def end(self) -> None:
        """Whatever it does: SIGKILL, if it still runs."""
        if self._guard is not None and self._guard.returncode is None:
            self.signal(signal.SIGKILL)
            await self._guard.wait()

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._guard.returncode if self._guard is not None else None

    def state(self) -> str:
        with suppress(psutil.NoSuchProcess):
            if self._process is not None:
                return f"{self.name}: {self._process.status()}: {self.last_words()}"
        return f"{self.name}: ended with {self.exit_code}: {self.last_words()}"

    def last_words(self) -> str:
        """The end of its log."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return lines[-1] if lines else "(its log is empty)"

    def _found(self) -> psutil.Process | None:
        assert self._guard is not None
        if self._guard.returncode is not None:
            raise Hangs(f"{self.name} did not start: {self.last_words()}")
        children = psutil.Process(self._guard.pid).children()
        return children[0] if children else None


def environment_of(**settings: object) -> dict[str, str]:
    """The machine's variables, with these settings instead of those that it may have."""
    machine = {name: value for name, value in os.environ.items() if not name.startswith("TRACEQUEUE_")}
    return machine | {f"TRACEQUEUE_{name.upper()}": str(value) for name, value in settings.items()}


def python(*arguments: object) -> Sequence[str]:
    return (sys.executable, *map(str, arguments))
