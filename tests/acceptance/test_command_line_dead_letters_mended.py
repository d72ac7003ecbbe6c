"""`tracequeue dlq retry`, `export` and `drop`, as a person uses them after the cause is mended."""

import base64
import json
import os
import pty
import stat
import subprocess
import sys
from typing import Any

import pytest
import redis

from tests.fixtures.command import Answer, Command
from tests.fixtures.frames import ended, frame, ndjson, span
from tests.fixtures.polling import eventually_sync
from tracequeue.keys import dead_key, events_key

NOW_IS_TOO_EARLY = {"TRACEQUEUE_PAST_LIMIT": "2999-01-01"}
"""Of a worker that refuses whatever happens now."""
SRC = "a" * 32
BINARY = b"\xff\x00\x1b[2J not JSON"


@pytest.fixture
def client(redis_url: str, prefix: str) -> Any:
    with redis.Redis.from_url(redis_url) as made:
        yield made


@pytest.fixture
def refused(command: Command, client: redis.Redis, prefix: str) -> Command:
    """Eight spans that can be mended, one line that never is one, and bytes."""
    key = events_key(prefix, 0)
    client.xadd(key, frame(*[span(span_name=f"s{number}") for number in range(8)], b"[]", src=SRC))
    client.xadd(key, {b"body": BINARY})
    assert command("worker", "--drain", "--json", **NOW_IS_TOO_EARLY).document["dead_letters"] == 10
    return command


def counts(command: Command) -> dict[str, int]:
    return {group["reason"]: group["count"] for group in command("dlq", "list", "--json").document}


def group_of(command: Command, reason: str) -> dict[str, Any]:
    (group,) = [one for one in command("dlq", "list", "--json").document if one["reason"] == reason]
    return dict(group)


def beside_a_worker(command: Command, *arguments: str, **variables: str) -> Answer:
    worker = command.start("worker", **variables)
    try:
        return command(*arguments)
    finally:
        worker.terminate()
        worker.communicate()


def stored(command: Command) -> int:
    (account,) = [one for one in command("status", "--json").document["emitters"] if one["emitter_id"]]
    return int(account["persisted"])


def test_one_letter_a_group_a_reason_and_all(refused: Command) -> None:
    group = group_of(refused, "time_range")
    assert refused("dlq", "list").err.splitlines()[-1].endswith(f"dlq retry --group {group['id']} --canary 1")
    one = refused("dlq", "retry", group["first"])
    assert (one.code, one.out, one.err) == (0, "", "1 dead letter retried\n")
    gone = refused("dlq", "retry", group["first"])
    assert (gone.code, gone.err) == (1, f"there is no dead letter {group['first']}\n")
    assert refused("dlq", "retry", "--group", group["id"], "--json").document["retried"] == 7
    refused("worker", "--drain")
    assert counts(refused) == {"schema": 1, "encoding": 1}
    assert stored(refused) == 8
    assert refused("dlq", "retry", "--reason", "schema", "--json").document["retried"] == 1
    refused("worker", "--drain")
    letter = refused("dlq", "show", group_of(refused, "schema")["first"], "--json").document
    assert (letter["retries"], letter["content"]) == (1, "[]")
    assert refused("dlq", "retry", "--all", "--json").document["retried"] == 2


def test_canaries_that_are_stored_let_the_others_go(refused: Command) -> None:
    answer = beside_a_worker(refused, "dlq", "retry", "--reason", "time_range", "--canary", "3")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err.splitlines() == ["canaries: 3 stored, 0 dead again, 0 not settled yet", "8 dead letters retried"]
    refused("worker", "--drain")
    assert stored(refused) == 8


def test_canaries_that_die_again_keep_the_others_back(refused: Command) -> None:
    arguments = ("dlq", "retry", "--reason", "time_range", "--canary", "2")
    answer = beside_a_worker(refused, *arguments, "--json", **NOW_IS_TOO_EARLY)
    assert answer.code == 1
    assert answer.document["retried"] == 2
    assert len(answer.document["canaries"]["dead"]) == 2
    assert "start_time" in next(iter(answer.document["canaries"]["dead"].values()))
    assert "2 dead letters retried; the others were left as they are" in answer.err
    assert counts(refused)["time_range"] == 8


def test_canaries_whose_fate_is_not_known_in_time_keep_the_others_back(refused: Command) -> None:
    answer = refused("dlq", "retry", "--all", "--canary", "1", "--timeout", "0.2")
    assert (answer.code, answer.out) == (1, "")
    assert "canaries: 0 stored, 0 dead again, 1 not settled yet" in answer.err
    assert "is a worker running?" in answer.err
    assert sum(counts(refused).values()) == 9


def test_fewer_letters_than_canaries_are_waited_for_too(refused: Command) -> None:
    answer = beside_a_worker(refused, "dlq", "retry", "--reason", "encoding", "--canary", "5", "--json")
    assert answer.code == 1
    assert len(answer.document["canaries"]["dead"]) == 1


def test_what_cannot_be_retried_stays_and_says_why(command: Command, client: redis.Redis, prefix: str) -> None:
    key = events_key(prefix, 0)
    for name in ("first", "second"):
        client.xadd(key, frame(span(span_name=name), src=SRC, seq=1))
    client.xadd(key, {"body": b"x" * (4 * 1024 * 1024 + 1)})
    command("worker", "--drain")
    answer = command("dlq", "retry", "--all")
    assert answer.code == 1
    assert "another frame is stored under its number" in answer.err
    assert "it does not hold all of the original" in answer.err
    assert answer.err.count("tracequeue dlq export") == 2
    assert counts(command) == {"seq_conflict": 1, "too_large": 1}


def test_the_export_holds_the_originals_and_never_replaces_a_file(refused: Command) -> None:
    file = refused.folder / "letters.ndjson"
    answer = refused("dlq", "export", "letters.ndjson")
    assert (answer.code, answer.out, answer.err) == (0, "", "10 dead letters in letters.ndjson\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    letters = [json.loads(line) for line in file.read_text("ascii").splitlines()]
    assert len(letters) == 10
    assert {letter["format"] for letter in letters} == {"tracequeue dead letter, version 1"}
    (binary,) = [letter for letter in letters if letter["reason"] == "encoding"]
    assert base64.b64decode(binary["raw"]["base64"]) == BINARY
    assert json.loads(letters[0]["raw"])["span_name"] == "s0"
    assert (letters[0]["src"], letters[0]["seq"], letters[0]["index"]) == (SRC, 1, 0)

    again = refused("dlq", "export", "letters.ndjson", "--reason", "schema")
    assert (again.code, again.out) == (1, "")
    assert again.err == "tracequeue: letters.ndjson is there already: choose another name, or --force to replace it\n"
    assert len(file.read_text().splitlines()) == 10
    forced = refused("dlq", "export", "letters.ndjson", "--reason", "schema", "--force", "--json")
    assert forced.document == {"exported": 1, "file": "letters.ndjson"}
    assert json.loads(file.read_text())["raw"] == "[]"
    assert sum(counts(refused).values()) == 10
    assert [path.name for path in refused.folder.glob("letters*")] == ["letters.ndjson"]


def test_an_export_to_stdout_is_nothing_but_lines_of_json(refused: Command) -> None:
    answer = refused("dlq", "export", "-", "--group", group_of(refused, "time_range")["id"])
    assert (answer.code, answer.err) == (0, "")
    assert {json.loads(line)["reason"] for line in answer.out.splitlines()} == {"time_range"}


def test_a_file_that_cannot_be_written_is_said(refused: Command) -> None:
    answer = refused("dlq", "export", "nowhere/letters.ndjson")
    assert (answer.code, answer.err) == (
        1,
        "tracequeue: nowhere/letters.ndjson cannot be written: No such file or directory\n",
    )


def test_letters_are_dropped_only_when_that_is_meant(refused: Command) -> None:
    asked = refused("dlq", "drop", "--reason", "time_range")
    assert (asked.code, asked.out) == (2, "")
    assert "Drop 8 dead letters for good?" in asked.err
    assert "dlq export FILE" in asked.err
    assert "--yes" in asked.err
    assert sum(counts(refused).values()) == 10
    dropped = refused("dlq", "drop", "--reason", "time_range", "--yes", "--json")
    assert (dropped.document["dropped"], [group["count"] for group in dropped.document["groups"]]) == (8, [8])
    assert "8 time_range: start_time … is outside" in dropped.err
    assert counts(refused) == {"schema": 1, "encoding": 1}
    one = refused("dlq", "drop", group_of(refused, "schema")["first"], "--yes")
    assert (one.code, one.err.splitlines()[-1]) == (0, "1 dead letter dropped")
    assert refused("dlq", "drop", "--all", "--yes", "--json").document["dropped"] == 1
    none = refused("dlq", "drop", "--all", "--yes", "--json")
    assert (none.code, none.document) == (0, {"dropped": 0, "groups": []})


@pytest.mark.parametrize(("reply", "left"), [(b"n\n", 10), (b"y\n", 2)])
def test_on_a_terminal_it_asks(refused: Command, reply: bytes, left: int) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tracequeue_worker", "dlq", "drop", "--reason", "time_range"],
        cwd=refused.folder, env=refused.environment, stdin=follower, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.write(leader, reply)
    out, err = process.communicate()
    os.close(leader)
    os.close(follower)
    assert (process.returncode, out) == (1 if left == 10 else 0, b"")
    assert b"Drop 8 dead letters for good?" in err
    assert sum(counts(refused).values()) == left


@pytest.mark.parametrize("action", ["retry", "drop"])
def test_a_selection_is_exactly_one(command: Command, action: str) -> None:
    for arguments in ([], ["--all", "--reason", "schema"], ["1-1", "--all"], ["nonsense"]):
        answer = command("dlq", action, *arguments)
        assert (answer.code, answer.out) == (2, ""), arguments
    nothing = command("dlq", action, "--all")
    assert (nothing.code, nothing.err) == (0, "no dead letters\n")
    assert "of reason nonsense" in command("dlq", action, "--reason", "nonsense").err
    assert "of group 00000000" in command("dlq", action, "--group", "00000000").err


def test_letters_of_several_partitions_go_back_to_their_own(command: Command, client: redis.Redis, prefix: str) -> None:
    three = {"TRACEQUEUE_PARTITIONS": "3"}
    for partition in range(3):
        client.xadd(events_key(prefix, partition), frame(ended(), src=SRC, seq=1))
    command("worker", "--drain", **three, **NOW_IS_TOO_EARLY)
    assert command("dlq", "retry", "--all", "--json", **three).document["retried"] == 3
    assert [client.xlen(events_key(prefix, partition)) for partition in range(3)] == [2, 2, 2]
    command("worker", "--drain", **three)
    assert command("dlq", "list", "--json", **three).document == []


def test_hostile_letters_command_no_terminal_and_tell_no_secrets(
    command: Command, client: redis.Redis, prefix: str
) -> None:
    hostile = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"
    event = span(span_name="", output_data={"password": "hunter2", "note": f"redis://user:hunter2@host {hostile}"})
    client.xadd(events_key(prefix, 0), {"body": ndjson(event) + b'{"api_key": "hunter2", cut' + hostile.encode()})
    client.xadd(
        dead_key(prefix, 0),
        {"reason": hostile, "error": f"postgresql://user:hunter2@db {hostile}", "raw": hostile, "field:v": hostile},
    )
    command("worker", "--drain")
    ids = [entry_id.decode() for entry_id, _ in client.xrange(dead_key(prefix, 0))]
    assert len(ids) == 3
    answers = [command("dlq", "list"), command("dlq", "list", "--json")]
    answers += [command("dlq", "show", one, *form) for one in ids for form in ([], ["--json"])]
    answers += [command("dlq", "retry", "--all"), command("dlq", "drop", "--all", "--yes")]
    for answer in answers:
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(answer.out + answer.err), answer
        assert "hunter2" not in answer.out + answer.err, answer


def test_a_retry_goes_on_while_letters_are_written(command: Command, client: redis.Redis, prefix: str) -> None:
    """What dies again meanwhile is not retried once more: it ends, however fast a worker is."""
    client.xadd(events_key(prefix, 0), frame(*[span() for _ in range(200)], src=SRC))
    command("worker", "--drain", **NOW_IS_TOO_EARLY)
    answer = beside_a_worker(command, "dlq", "retry", "--all", "--json", **NOW_IS_TOO_EARLY)
    assert answer.document["retried"] == 200
    command("worker", "--drain", **NOW_IS_TOO_EARLY)
    eventually_sync(lambda: counts(command) == {"time_range": 200})
