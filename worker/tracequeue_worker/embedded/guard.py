"""Keeps a server from outliving whoever started it: runs a command, stops it when standard input closes.

Run as a script: `guard.py USER SIGNAL COMMAND ...`. The signal asks the command to end, and SIGTERM to the guard sends
it; SIGUSR1 kills outright. It imports nothing of the project, so that it starts at once, and has a session of its own,
so that Ctrl-C in a terminal reaches the starter first and the server last.
"""

import os
import pwd
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 20


def main() -> int:
    user, name, *command = sys.argv[1:]
    stop = signal.Signals[name]
    signal.signal(stop, signal.SIG_DFL)  # the starter may have been told to ignore it, as in the background of a script
    server = _start(command, user)
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(stop))
    signal.signal(signal.SIGUSR1, lambda *_: server.kill())
    threading.Thread(target=_stop_at_end_of_input, args=(server, stop), daemon=True).start()
    return server.wait()


def _start(command: list[str], user: str) -> subprocess.Popen[bytes]:
    if not user:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)
    group = pwd.getpwnam(user).pw_gid
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, user=user, group=group, extra_groups=[])


def _stop_at_end_of_input(server: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    while os.read(sys.stdin.fileno(), 1024):  # not by `sys.stdin`: its lock would abort an interpreter that ends
        pass
    server.send_signal(stop)
    try:
        server.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()


if __name__ == "__main__":
    sys.exit(main())
