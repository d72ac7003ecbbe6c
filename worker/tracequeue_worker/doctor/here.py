"""This machine: the folder of the spool, as a bot with the same environment would use it."""

import os
import time
from pathlib import Path
from typing import Final

from tracequeue.settings import EmitterSettings
from tracequeue_worker.doctor.finding import Finding, size

NEARLY_FULL: Final = 0.8
LEFT_SECONDS: Final = 600.0
"""A segment that lies for so long has no bot that sends it."""


def examine_here(settings: EmitterSettings) -> list[Finding]:
    """Looks into the folder, and makes none."""
    folder = settings.spool_dir
    if folder is None:
        found = f"off: while Redis is away a bot keeps {size(settings.buffer_bytes)} in memory, then drops"
        return [Finding("here", "spool", "ok", found)]
    if not folder.exists():
        made_in = next(parent for parent in folder.absolute().parents if parent.exists())
        if not os.access(made_in, os.W_OK):
            cure = f"make it, or give this user rights on {made_in}"
            return [Finding("here", "spool", "fail", f"{folder} cannot be made", cure)]
        return [Finding("here", "spool", "ok", f"{folder} will be made when it is needed")]
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        cure = f"give this user rights: chmod u+rwx {folder}, or chown it"
        return [Finding("here", "spool", "fail", f"{folder} cannot be read and written", cure)]
    return [_fullness(folder, settings.spool_bytes), *_left_over(folder)]


def _fullness(folder: Path, bound: int) -> Finding:
    used = sum(length for length, _ in _segments(folder))
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    found = f"{size(used)} of {size(bound)} used, {size(free)} free on the disk"
    if used > NEARLY_FULL * bound:
        return Finding("here", "spool", "warn", found, "start what empties it: Redis, and any bot with this SPOOL_DIR")
    if free < bound - used:
        return Finding("here", "spool", "warn", found, "free disk space, or lower TRACEQUEUE_SPOOL_BYTES")
    return Finding("here", "spool", "ok", found)


def _left_over(folder: Path) -> list[Finding]:
    ages = [time.time() - changed for _, changed in _segments(folder)]
    if not ages or max(ages) < LEFT_SECONDS:
        return []
    found = f"files waiting: {len(ages)}, the oldest last written {max(ages) / 60:.0f} minutes ago"
    cure = "start any bot with this SPOOL_DIR: it sends what others left"
    return [Finding("here", "left in the spool", "warn", found, cure)]


def _segments(folder: Path) -> list[tuple[int, float]]:
    """Size and time of the last change of each file; those that a bot removes meanwhile are not among them."""
    found = []
    for path in folder.glob("*.spool"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        found.append((status.st_size, status.st_mtime))
    return found
