"""The archive: does its group have workers that read for it, how far behind is it, and does its folder take files?"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from tracequeue_worker.backlog import Backlog, read_backlog
from tracequeue_worker.doctor.finding import Finding, Verdict, size
from tracequeue_worker.history.recovery import unfinished
from tracequeue_worker.redis_client import unless_missing
from tracequeue_worker.settings import ARCHIVE_GROUP, WorkerSettings
from tracequeue_worker.streams import Membership

BEHIND_SECONDS: Final = 60.0
"""A worker writes what it has read after a few seconds."""
LEFT_SECONDS: Final = 600.0
"""Workers finish every minute what dead ones left."""
LITTLE_ROOM: Final = 1024 * 1024 * 1024


async def read_unarchived(client: Redis, membership: Membership) -> list[Backlog]:
    """What waits to be archived, in the partitions that the archive has a group of. Raises `Transient` or `Fatal`."""
    archive = membership.to_archive()
    backlogs = await read_backlog(client, archive)
    with_group = [membership.partitions[stream] for stream in membership.streams if await _has_group(client, stream)]
    return [one for one in backlogs if one.partition in with_group]


async def examine_archive_group(client: Redis, membership: Membership, settings: WorkerSettings) -> list[Finding]:
    """Raises `Transient` or `Fatal`."""
    backlogs = await read_unarchived(client, membership)
    if not backlogs:
        return []
    behind = max(one.oldest_seconds or 0.0 for one in backlogs)
    waiting = sum(one.unread + one.pending for one in backlogs)
    found = f"frames waiting to be archived: {waiting}"
    if settings.archive_dir is None:
        found = f"TRACEQUEUE_ARCHIVE_DIR is not set here, but the group {ARCHIVE_GROUP} exists; {found}"
        cure = f"set it for the workers; or, to archive no more, run {_destroying(membership)}"
        return [Finding("redis", "archive", "warn", found, cure)]
    if waiting and behind > BEHIND_SECONDS:
        cure = "look at /readyz of the workers, and whether their archive's disk takes files"
        return [Finding("redis", "archive", "warn", f"{found}, the oldest for {behind:.0f} s", cure)]
    return [Finding("redis", "archive", "ok", found)]


def examine_archive_folder(folder: Path | None) -> list[Finding]:
    """Looks into the folder, as a worker with the same environment would use it, and makes none."""
    if folder is None:
        return []
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        return [_finding("fail", f"{there} is no folder", "let TRACEQUEUE_ARCHIVE_DIR name another place")]
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return [_finding("fail", f"{there} cannot be read and written", f"give the worker's user rights on {there}")]
    status = os.statvfs(there)
    free = status.f_bavail * status.f_frsize
    if there != folder.absolute():
        return [_finding("ok", f"{folder} will be made, {size(free)} free on the disk")]
    used = sum(length for length, _ in _files(folder.glob("*.jsonl.zst*")))
    found = f"{size(used)} used, {size(free)} free on the disk"
    if free < LITTLE_ROOM:
        return [
            _finding("warn", found, "free disk space, or move older files away: once it is full nothing is trimmed")
        ]
    return [_finding("ok", found), *_left_over(folder)]


def _left_over(folder: Path) -> list[Finding]:
    ages = [time.time() - changed for _, changed in _files(unfinished(folder))]
    ages = [age for age in ages if age > LEFT_SECONDS]
    if not ages:
        return []
    return [
        Finding(
            "here", "left in the archive", "warn",
            f"unfinished files: {len(ages)}, the oldest last written {max(ages) / 60:.0f} minutes ago",
            "start a worker with this TRACEQUEUE_ARCHIVE_DIR: it finishes what dead ones left",
        )
    ]  # fmt: skip


def _files(paths: Iterable[Path]) -> list[tuple[int, float]]:
    """Size and time of the last change of each; those that a worker renames meanwhile are not among them."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            found.append((status.st_size, status.st_mtime))
    return found


def _destroying(membership: Membership) -> str:
    return " and ".join(f"`XGROUP DESTROY {stream.decode()} {ARCHIVE_GROUP}`" for stream in membership.streams)


async def _has_group(client: Redis, stream: bytes) -> bool:
    groups = await unless_missing(client, client.xinfo_groups(stream)) or []
    return ARCHIVE_GROUP.encode() in [group["name"] for group in groups]


def _finding(verdict: Verdict, found: str, cure: str = "") -> Finding:
    return Finding("here", "archive", verdict, found, cure)
