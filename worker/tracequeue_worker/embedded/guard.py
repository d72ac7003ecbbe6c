"""Keeps a server from outliving whoever started it: runs a command, stops it when standard input closes.

Run as a script: `guard.py USER COMMAND ...`. SIGTERM asks the server to end, SIGUSR1 kills it outright. It imports
nothing of the project, so that it starts at once, and has a session of its own, so that Ctrl-C in a terminal reaches
the starter first and the server last.
"""

import pwd
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 20


def main() -> int:
    user, *command = sys.argv[1:]
    server = _start(command, user)
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGINT))
    signal.signal(signal.SIGUSR1, lambda *_: server.kill())
    threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    return server.wait()


def _start(command: list[str], user: str) -> subprocess.Popen[bytes]:
    if not user:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)
    group = pwd.getpwnam(user).pw_gid
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, user=user, group=group, extra_groups=[])


def _stop_at_end_of_input(server: subprocess.Popen[bytes]) -> None:
    """SIGINT is a fast and clean shutdown for Postgres and Redis alike."""
    sys.stdin.buffer.read()
    server.send_signal(signal.SIGINT)
    try:
        server.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()


if __name__ == "__main__":
    sys.exit(main())
