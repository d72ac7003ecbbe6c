"""Postgres refuses to run as root: who it runs as instead, and which folders that user must reach."""

import os
import pwd
import stat
from pathlib import Path

CANDIDATES = ("postgres", "nobody")


def server_user() -> str:
    """The system user that Postgres runs as; empty where it is our own, which need not be changed."""
    if os.geteuid() != 0:
        return ""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in CANDIDATES if name in known)


def server_group() -> int | None:
    """The group that goes with `server_user()`; None where it is our own."""
    user = server_user()
    return pwd.getpwnam(user).pw_gid if user else None


def hand_over(folder: Path) -> None:
    """Give `folder` to the server's user, and let that user walk to it."""
    user = server_user()
    if user:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        open_the_way(folder)


def open_the_way(path: Path) -> None:
    """Where root runs the server: let others pass through (not list) the folders above `path`."""
    if os.geteuid() != 0:
        return
    for folder in path.resolve().parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
