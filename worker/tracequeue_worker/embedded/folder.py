"""The folder that holds an embedded server's data: one owner at a time, and sockets whose paths are short enough."""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tracequeue_worker.errors import Unreachable

SOCKET_PATH_BYTES = 100
"""A little below what operating systems allow: 104 on macOS, 108 on Linux."""
ENDING_SECONDS = 25
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that this process owns. `lock` is the descriptor to pass to whoever must keep owning it."""

    path: Path
    lock: int

    @property
    def log(self) -> Path:
        """What the server in this folder says."""
        return self.path / "log"

    def last_words(self) -> str:
        """The end of the log, where a server says why it gave up, and where to read the rest."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"{lines[-1] if lines else 'it said nothing'} (the whole log: {self.log})"


@contextmanager
def owned(path: Path) -> Iterator[Folder]:
    """Make the folder `path` and keep it for this process. Raises `Unreachable` if another process has it."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / "lock").open("a+") as lock:
        _take(path, lock)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield Folder(path, lock.fileno())


def _take(path: Path, lock: TextIO) -> None:
    """A killed owner's servers keep the lock while they end: wait for them, but not for an owner that lives."""
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip()
            if _is_alive(owner) or time.monotonic() > deadline:
                cure = "stop that one, or choose another folder"
                raise Unreachable(f"{path} is in use by process {owner or 'unknown'}: {cure}") from None
        time.sleep(POLL_SECONDS)


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def socket_folder(folder: Path, name: str) -> Path:
    """Where to put the socket `name`: in `folder`, or where that path is too long, in a private temporary folder."""
    if len(os.fsencode(folder / name)) <= SOCKET_PATH_BYTES:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"tracequeue-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    return short
