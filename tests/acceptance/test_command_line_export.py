"""`tracequeue export` as it is typed: what it writes, what it says, how it ends, and that `replay --file` reads it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from tests.fixtures.command import Command
from tests.fixtures.frames import ended, frame, span, started
from tests.fixtures.history import decompressed, lines
from tests.fixtures.polling import eventually_sync
from tests.fixtures.postgres import EMPTY, database
from tests.fixtures.servers import free_port
from tracequeue.keys import events_key

EMITTER = uuid4().hex
START = 1_790_000_000_000_000


@pytest.fixture
def target(postgres_url: str) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    with database(postgres_url, EMPTY) as url:
        yield url


@pytest.fixture
def stored(command: Command, redis_url: str, prefix: str) -> Command:
    """The command where four frames of ten spans, and two traces, are settled and stored."""
    fill(redis_url, prefix, 4)
    assert command("worker", "--drain").code == 0
    return command


def fill(redis_url: str, prefix: str, frames: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        pipeline = client.pipeline(transaction=False)
        for seq in range(1, frames + 1):
            facts = {"trace_id": str(uuid4()), "start_time": START + seq}
            events = [started(**facts), *(span(**facts) for _ in range(10)), ended(**facts, span_count=10)]
            pipeline.xadd(events_key(prefix, 0), frame(*events, src=EMITTER, seq=seq))
        pipeline.execute()


def test_the_stream_goes_to_a_file_that_a_new_database_is_made_of(stored: Command, target: str) -> None:
    answer = stored("export", "--out", "backup")
    assert answer.code == 0, answer
    (path,) = (stored.folder / "backup").iterdir()
    header, row = answer.out.splitlines()
    assert header.split() == ["file", "records", "events", "bytes"]
    assert row.split() == [f"backup/{path.name}", "4", "48", str(path.stat().st_size)]
    assert "tracequeue replay --to DSN --file backup/*.zst" in answer.err
    replayed = stored("replay", "--to", target, "--migrate", "--file", f"backup/{path.name}", "--json")
    assert replayed.code == 0, replayed
    assert (replayed.document["written"], replayed.document["complete"]) == (48, True)


def test_the_database_goes_to_files_with_its_ledger(stored: Command, target: str) -> None:
    answer = stored("export", "--database", "--out", "backup", "--json")
    assert answer.code == 0, answer
    files = answer.document["files"]
    assert [file["kind"] for file in files] == ["rows", "ledger"]
    assert (answer.document["events"], answer.document["unsettled"]) == (44, 0)
    assert answer.document["size"] == sum(Path(stored.folder, file["path"]).stat().st_size for file in files)
    replayed = stored("replay", "--to", target, "--migrate", "--file", *(file["path"] for file in files), "--json")
    assert (replayed.code, replayed.document["written"]) == (0, 44), replayed
    here, there = stored("audit", "--json"), stored("audit", "--json", TRACEQUEUE_DATABASE_URL=target)
    assert there.document["emitters"] == here.document["emitters"]


def test_a_file_comes_through_a_pipe(stored: Command, target: str) -> None:
    assert stored("export", "--out", "backup").code == 0
    (path,) = (stored.folder / "backup").iterdir()
    with path.open("rb") as content:
        replayed = subprocess.run(
            [sys.executable, "-m", "tracequeue_worker", "replay", "--to", target, "--migrate", "--file", "-"],
            stdin=content, env=stored.environment, cwd=stored.folder, capture_output=True, check=False,
        )  # fmt: skip
    assert replayed.returncode == 0, replayed


def test_a_damaged_file_is_told_and_a_whole_copy_goes_on_where_it_was(stored: Command, target: str) -> None:
    assert stored("export", "--out", "backup").code == 0
    (path,) = (stored.folder / "backup").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    arguments = ("replay", "--to", target, "--migrate", "--file", str(path), "--json")
    damaged = stored(*arguments)
    assert damaged.code == 1, damaged
    assert f"{path}: it ends within the block at byte" in damaged.err
    assert "take a whole copy of this file and run the same command again" in damaged.err
    path.write_bytes(whole)
    mended = stored(*arguments)
    assert mended.code == 0, mended
    assert (mended.document["resumed"], mended.document["events"], mended.document["written"]) == (True, 48, 48)


def test_bounds_and_sizes_are_taken_as_people_type_them(stored: Command) -> None:
    for size in ("1kB", "1 MiB", "5000", "2GB"):
        answer = stored("export", "--out", size, "--since", "1h", "--until", "2999-01-01", "--size", size, "--json")
        assert (answer.code, answer.document["records"]) == (0, 4), answer
        head = lines(Path(stored.folder, answer.document["files"][0]["path"]))[0]
        assert head["until"].startswith("2999-01-01")
    nothing = stored("export", "--out", "none", "--until", "2000-01-01")
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err.startswith("there is nothing to export: check TRACEQUEUE_PREFIX, --since and --until")
    assert not (stored.folder / "none").exists()


def test_what_is_not_settled_is_said(command: Command, redis_url: str, prefix: str) -> None:
    fill(redis_url, prefix, 3)
    answer = command("export", "--out", "backup")
    assert answer.code == 0
    assert "3 frames left out: no worker has stored them yet" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--out"),
        (("--out", "x", "--stream", "--database"), "one of them at a time"),
        (("--out", "x", "--size", "much"), "no size such as 256MB"),
        (("--out", "x", "--size", "0"), "no size such as 256MB"),
        (("--out", "x", "--since", "soon"), "--since"),
        (("--out", "x", "--since", "2026-02-01", "--until", "2026-01-01"), "nothing lies from"),
    ],
)
def test_what_cannot_be_meant_is_refused(alone: Command, arguments: tuple[str, ...], said: str) -> None:
    answer = alone("export", *arguments)
    assert answer.code == 2, answer
    assert said in answer.err
    assert not (alone.folder / "x").exists()


@pytest.mark.parametrize("source", ["--stream", "--database"])
def test_a_server_that_is_away_is_named(alone: Command, source: str) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    servers = {
        "TRACEQUEUE_REDIS_URL": f"redis://:secret@{nowhere}/0",
        "TRACEQUEUE_DATABASE_URL": f"postgresql://u:secret@{nowhere}/x",
    }
    answer = alone("export", "--out", "x", source, **servers)
    assert answer.code == 3, answer
    assert nowhere in answer.err
    assert "secret" not in answer.err


def test_a_folder_that_takes_nothing_is_named_with_the_cure(stored: Command) -> None:
    (stored.folder / "x").write_text("a file")
    for source in ("--stream", "--database"):
        answer = stored("export", "--out", "x", source)
        assert answer.code == 3, answer
        assert answer.err == "tracequeue: x takes no more files: File exists: name a folder\n"


def test_interrupted_it_leaves_finished_files_whole_and_nothing_else(
    command: Command, redis_url: str, prefix: str
) -> None:
    fill(redis_url, prefix, 3_000)
    assert command("worker", "--drain").code == 0
    folder = command.folder / "backup"
    process = command.start("export", "--out", "backup", "--size", "1")
    try:
        eventually_sync(lambda: list(folder.glob("*.zst")) and list(folder.glob("*.partial")))
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    finally:
        process.kill()
        process.communicate()
    files = list(folder.iterdir())
    assert 0 < len(files) < 3_000
    for path in files:
        assert path.suffix == ".zst"
        assert decompressed(path).splitlines()[-1].startswith(b'{"end":true')
