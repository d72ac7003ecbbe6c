"""`tracequeue replay` as it is typed: from where to where, what it prints, and how it ends."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import redis

from tests.fixtures.bot import collecting_on_disk
from tests.fixtures.command import Command
from tests.fixtures.frames import ended, frame, span, started
from tests.fixtures.polling import eventually_sync
from tests.fixtures.postgres import EMPTY, database, execute, outside_the_loop
from tests.fixtures.servers import free_port
from tests.fixtures.spans import Backlog
from tracequeue import TraceContext
from tracequeue.keys import events_key

EMITTER = uuid4()
DAY = 86_400_000_000
OLD = 1_262_347_200_000_000
"""2010-01-01 12:00 UTC."""


@pytest.fixture
def stream(redis_url: str, prefix: str) -> str:
    """The key of a stream with four frames of three old days: a trace with ten spans in each."""
    key = events_key(prefix, 0)
    with redis.Redis.from_url(redis_url) as client:
        for seq in range(1, 5):
            start = OLD + seq // 2 * DAY
            trace = {"trace_id": str(uuid4()), "start_time": start, "telegram_id": seq}
            spans = [span(trace_id=trace["trace_id"], start_time=start, end_time=start + 5) for _ in range(10)]
            end = ended(**trace, end_time=start + 9, span_count=10)
            client.xadd(key, frame(started(**trace), *spans, end, src=EMITTER.hex, seq=seq))
    return key


@pytest.fixture
def target(postgres_url: str) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    with database(postgres_url, EMPTY) as url:
        yield url


def rows(url: str, query: str) -> list[Any]:
    """The first column of what a query answers."""
    found: list[Any] = []

    async def fetch() -> None:
        connection = await asyncpg.connect(url)
        try:
            found.extend(row[0] for row in await connection.fetch(query))
        finally:
            await connection.close()

    outside_the_loop(fetch())
    return found


def groups(redis_url: str, key: str) -> object:
    with redis.Redis.from_url(redis_url) as client:
        return client.xinfo_groups(key)


def test_an_empty_database_is_filled_and_everything_is_there(
    command: Command, redis_url: str, stream: str, target: str
) -> None:
    before = groups(redis_url, stream)
    answer = command("replay", "--to", target, "--migrate")
    assert answer.code == 0, answer
    assert groups(redis_url, stream) == before
    lines = answer.out.splitlines()
    assert lines[-1] == "complete: all that the source holds is in the target"
    assert ["4", "48", "48", "0", "0"] in [line.split() for line in lines]
    assert [line.split()[:4] for line in lines if line.startswith("2010-01-02")] == [
        ["2010-01-02", "starts", "2", "2"], ["2010-01-02", "spans", "20", "20"], ["2010-01-02", "ends", "2", "2"],
    ]  # fmt: skip
    assert all(line.endswith("equal") for line in lines if line.startswith("2010"))
    assert "tracequeue:tracequeue" not in answer.out + answer.err
    digests = command("audit", "--digests", TRACEQUEUE_DATABASE_URL=target)
    assert command("replay", "--json", TRACEQUEUE_DATABASE_URL=target).document["present"] == 48
    assert command("audit", "--digests", TRACEQUEUE_DATABASE_URL=target) == digests


def test_a_dry_run_writes_nothing_and_needs_nothing(command: Command, stream: str, target: str) -> None:
    answer = command("replay", "--dry-run", "--to", target)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == "nothing was written"
    assert ["2010-01-03", "ends", "1", "0"] in [line.split() for line in answer.out.splitlines()]
    assert rows(target, "SELECT count(*) FROM pg_class WHERE relname LIKE 'pipeline%'") == [0]
    assert command("replay").code == 0
    known = command("replay", "--dry-run", "--json").document
    assert (known["written"], known["present"], known["replay_id"]) == (0, 48, None)


def test_interrupted_it_goes_on_where_it_is(command: Command, redis_url: str, prefix: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        for seq in range(1, 101):
            client.xadd(events_key(prefix, 0), frame(span(), span(), src=EMITTER.hex, seq=seq))
    url = command.environment["TRACEQUEUE_DATABASE_URL"]
    process = command.start("replay", "--rate", "40", TRACEQUEUE_BATCH_ROWS="10")
    eventually_sync(lambda: rows(url, "SELECT count(*) FROM pipeline_spans") != [0])
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err.startswith("interrupted after ")
    assert err.endswith(" frames: run the same command again: it goes on where it is\n")
    report = command("replay", "--json").document
    figures = ("resumed", "finished", "complete", "frames", "events", "written", "present")
    assert [report[name] for name in figures] == [True, True, True, 100, 200, 200, 0]
    assert rows(url, "SELECT count(*) FROM pipeline_spans") == [200]


def test_a_trimmed_range_is_told_by_emitter_and_range(command: Command, redis_url: str, stream: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        ids = [entry_id for entry_id, _ in client.xrange(stream)]
        client.xdel(stream, ids[0], ids[2])
    answer = command("replay")
    assert answer.code == 1
    assert "gaps: 2 frames that neither the source nor the target has" in answer.out
    assert f"  emitter {EMITTER}, partition 0: 1 trimmed, 3 missing" in answer.out.splitlines()
    assert "replay these into the same target" in answer.out
    assert answer.out.splitlines()[-1].startswith("NOT COMPLETE: 2 frames in gaps")
    report = command("replay", "--json").document
    assert not report["complete"]
    assert [(gap["first"], gap["last"], gap["cause"]) for gap in report["gaps"]] == [
        (1, 1, "trimmed"), (3, 3, "missing"),
    ]  # fmt: skip


def test_other_content_under_the_same_key_is_different(command: Command, stream: str) -> None:
    assert command("replay").code == 0
    url = command.environment["TRACEQUEUE_DATABASE_URL"]
    execute(url, "UPDATE pipeline_spans SET span_name = 'forged' WHERE start_time > '2010-01-03'")
    answer = command("replay")
    assert answer.code == 1
    assert [line for line in answer.out.splitlines() if line.endswith("10 different")]
    assert answer.out.splitlines()[-1] == "NOT COMPLETE: 10 events with other content"


def test_rows_that_were_lost_come_back(command: Command, stream: str) -> None:
    url = command.environment["TRACEQUEUE_DATABASE_URL"]
    assert command("replay").code == 0
    digests = command("audit", "--digests").out
    execute(url, "DELETE FROM pipeline_spans WHERE start_time < '2010-01-02'")
    execute(url, "DROP TABLE pipeline_parts.pipeline_spans_20100103, pipeline_parts.pipeline_traces_20100103")
    report = command("replay", "--json").document
    assert (report["complete"], report["written"], report["present"]) == (True, 10 + 12, 48 - 22)
    assert command("audit", "--digests").out == digests


def test_what_the_target_refuses_is_told(command: Command, stream: str) -> None:
    url = command.environment["TRACEQUEUE_DATABASE_URL"]
    execute(url, "ALTER TABLE pipeline_spans ADD CONSTRAINT none_of_2010_01_03 CHECK (start_time < '2010-01-03Z')")
    answer = command("replay")
    assert answer.code == 1
    assert "refused: 10 events: 10 store:23514" in answer.out
    assert answer.out.splitlines()[-1] == "NOT COMPLETE: 10 events refused by the target"
    execute(url, "ALTER TABLE pipeline_spans DROP CONSTRAINT none_of_2010_01_03")
    assert command("replay").code == 0


def test_only_some_traces(command: Command, redis_url: str, prefix: str, stream: str) -> None:
    answer = command("replay", "--telegram-id", "2", "--json")
    assert (answer.code, answer.err) == (0, "reading the source once to see whose its traces are\n")
    report = answer.document
    assert (report["written"], report["left_out"], report["selection"]) == (12, 36, "telegram-id 2")
    assert command("replay", "--pipeline", "nobody", "--json").document["events"] == 0


def test_that_there_was_nothing_to_replay_is_said(command: Command, stream: str) -> None:
    nothing = "the source holds no event that was asked for"
    for option, prefix in (("--dead", "none"), ("--dead", None)):
        answer = command("replay", option, **({"TRACEQUEUE_PREFIX": prefix} if prefix else {}))
        assert (answer.code, nothing in answer.out) == (0, True), answer
    for options, code in (((), 1), (("--dry-run",), 0)):
        mistyped = command("replay", *options, TRACEQUEUE_PREFIX="none")
        assert (mistyped.code, "there is no stream of none in Redis at" in mistyped.out) == (code, True), mistyped
    later = command("replay", "--since", "0s")
    assert (later.code, nothing in later.out) == (0, True), later
    assert nothing not in command("replay").out


def test_many_days_that_are_equal_are_folded(command: Command, redis_url: str, prefix: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        for seq in range(1, 21):
            one = span(start_time=OLD + seq * DAY, end_time=OLD + seq * DAY)
            client.xadd(events_key(prefix, 0), frame(one, src=EMITTER.hex, seq=seq))
    answer = command("replay")
    assert [line.split()[:5] for line in answer.out.splitlines() if " days " in line] == [
        ["20", "days", "spans", "20", "20"]
    ]
    url = command.environment["TRACEQUEUE_DATABASE_URL"]
    execute(url, "UPDATE pipeline_spans SET span_name = 'forged' WHERE start_time < '2010-01-03Z'")
    lines = command("replay").out.splitlines()
    assert len([line for line in lines if line.startswith("2010-01-02")]) == 1
    assert len([line for line in lines if line.startswith("19 days")]) == 1


def test_dead_letters_of_another_database(command: Command, redis_url: str, stream: str, target: str) -> None:
    url = command.environment["TRACEQUEUE_DATABASE_URL"]
    execute(url, "ALTER TABLE pipeline_spans ADD CONSTRAINT none_of_2010_01_03 CHECK (start_time < '2010-01-03Z')")
    assert command("worker", "--drain").code == 0
    report = command("replay", "--dead", "--to", target, "--migrate", "--json").document
    assert (report["complete"], report["written"], report["gaps"]) == (True, 10, [])


def test_a_spool_of_a_bot_whose_redis_is_gone(command: Command, prefix: str, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    with collecting_on_disk(folder, prefix), TraceContext("support"):
        pass
    report = command("replay", "--spool", str(folder), "--json").document
    assert (report["complete"], report["written"]) == (True, 2)
    nowhere = command("replay", "--spool", str(tmp_path / "nowhere"))
    assert (nowhere.code, nowhere.out) == (3, "")
    assert "check --spool" in nowhere.err


@pytest.fixture
def exported(command: Command, stream: str, tmp_path: Path) -> list[Path]:
    """Files with the frames of the stream."""
    assert command("worker", "--drain").code == 0
    assert command("export", "--out", str(tmp_path / "files")).code == 0
    return sorted((tmp_path / "files").iterdir())


def test_files_fill_a_database(command: Command, exported: list[Path], target: str) -> None:
    answer = command("replay", "--to", target, "--migrate", "--file", *map(str, exported), "--json")
    assert (answer.code, answer.document["written"]) == (0, 48)
    with exported[0].open("rb") as stdin:
        process = subprocess.run(
            [sys.executable, "-m", "tracequeue_worker", "replay", "--to", target, "--file", "-", "--json"],
            stdin=stdin, capture_output=True, check=False, env=command.environment, cwd=command.folder,
        )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["present"] == 48


def test_a_flipped_bit_in_a_file_is_told(command: Command, exported: list[Path], target: str) -> None:
    data = bytearray(exported[0].read_bytes())
    data[len(data) // 2] ^= 1
    exported[0].write_bytes(data)
    answer = command("replay", "--to", target, "--migrate", "--file", str(exported[0]))
    assert (answer.code, answer.out) == (1, "")
    assert exported[0].name in answer.err


def test_a_file_of_another_kind_is_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("these are notes\n")
    for name in ("notes.txt", "nowhere.jsonl.zst"):
        answer = command("replay", "--file", name)
        assert (answer.code, answer.out) == (1, "")
        assert name in answer.err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--dead", "--stream"), "one source at a time"),
        (("--spool", "a", "--file", "b"), "one source at a time"),
        (("a.jsonl.zst",), "files are named by --file"),
        (("--dry-run", "--migrate"), "a dry run writes nothing"),
        (("--since", "yesterday"), "'yesterday' is neither"),
        (("--since", "1h", "--until", "2h"), "nothing lies"),
        (("--rate", "0"), "--rate"),
        (("--to", "mysql://root:secret@host/db"), "--to"),
        (("--spool", ".", "--since", "2h"), "--since and --until cannot be used with --spool"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(command: Command, options: tuple[str, ...], why: str) -> None:
    answer = command("replay", *options)
    assert (answer.code, answer.out) == (2, "")
    assert why in " ".join(answer.err.replace("│", " ").split())
    assert "secret" not in answer.err


def test_a_server_that_is_away_is_a_3_and_no_password_is_printed(command: Command, stream: str) -> None:
    for options, variables in (
        (("--to", f"postgresql://bot:secret@127.0.0.1:{free_port()}/traces"), {}),
        ((), {"TRACEQUEUE_REDIS_URL": f"redis://:secret@127.0.0.1:{free_port()}/0"}),
    ):
        answer = command("replay", *options, **variables)
        assert (answer.code, answer.out) == (3, "")
        assert len(answer.err.splitlines()) == 1
        assert "secret" not in answer.err
        assert ("--to" in answer.err) == bool(options)


def test_a_target_that_takes_no_rows_is_told(command: Command, stream: str, target: str) -> None:
    empty = command("replay", "--to", target)
    name = target.rpartition("/")[2]
    assert (empty.code, empty.out) == (3, "")
    assert f"/{name} has no tracequeue tables: run it again with --migrate" in empty.err
    assert command("migrate", TRACEQUEUE_DATABASE_URL=target).code == 0
    execute(target, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    answer = command("replay", "--to", target)
    assert (answer.code, answer.out) == (3, "")
    assert f"/{name} is read only: " in answer.err
    execute(target, f"SET transaction_read_only = off; ALTER DATABASE {name} RESET default_transaction_read_only")


def test_a_target_of_a_newer_version_is_told(command: Command, stream: str) -> None:
    url = command.environment["TRACEQUEUE_DATABASE_URL"]
    execute(url, "INSERT INTO pipeline_migrations (version, name, checksum) VALUES ('29990101000000', 'later', '')")
    answer = command("replay")
    assert (answer.code, answer.out) == (1, "")
    assert "newer" in answer.err
    assert rows(url, "SELECT count(*) FROM pipeline_replays") == [0]


def test_on_a_terminal_a_bar_and_on_stdout_only_the_result(command: Command, redis_url: str, prefix: str) -> None:
    Backlog(2_000, per_frame=10).send(redis_url, prefix)
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tracequeue_worker", "replay", "--rate", "1500", "--json"],
        cwd=command.folder, env=command.environment | {"TERM": "xterm"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=terminal, text=True,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # its other end is closed
        while data := os.read(controller, 65_536):
            shown += data
    os.close(controller)
    out, _ = process.communicate()
    assert (process.returncode, json.loads(out)["written"]) == (0, 2_000)
    assert b"events, " in shown
    assert b"/s" in shown
