"""`tracequeue dlq`: what was refused, why, and the original, whatever its bytes are."""

import pytest
import redis

from tests.fixtures.command import Command
from tests.fixtures.frames import frame, span
from tracequeue.keys import dead_key, events_key


@pytest.fixture
def refused(command: Command, redis_url: str, prefix: str) -> Command:
    """Three letters of one kind, undecodable bytes, and a compressed frame with a wrong count."""
    bad = [span(span_id=text) for text in ("first wrong id", "second", "third")]
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(events_key(prefix, 0), frame(span(), *bad))
        client.xadd(events_key(prefix, 0), {b"body": b"\xff\x00\x1b[2J not JSON"})
        client.xadd(events_key(prefix, 0), frame(span(span_name="whole"), n=b"7", odd=b"\xfe"))
    assert command("worker", "--drain", "--json").document["dead_letters"] == 5
    return command


def test_letters_are_grouped_by_reason_and_normalised_error(refused: Command) -> None:
    groups = refused("dlq", "list", "--json").document
    counts = {group["reason"]: group["count"] for group in groups}
    assert counts == {"schema": 3, "encoding": 1, "count": 1}
    assert groups[0]["reason"] == "schema"
    (numbered,) = [group for group in groups if group["reason"] == "count"]
    assert numbered["error"] == "the frame says … events and holds …"
    assert len(groups[0]["emitters"]) == 1
    answer = refused("dlq", "list")
    assert len(answer.out.splitlines()) == 1 + len(groups)
    assert groups[0]["last"] in answer.err


def test_one_event_is_shown_with_its_line(refused: Command) -> None:
    (group, *_) = refused("dlq", "list", "--json").document
    letter = refused("dlq", "show", group["first"], "--json").document
    assert (letter["reason"], letter["index"], letter["resendable"]) == ("schema", 1, "1")
    assert '"span_id": "first wrong id"' in letter["content"]
    shown = refused("dlq", "show", group["first"])
    assert shown.out.splitlines()[-1] == letter["content"].strip()
    assert shown.err == ""


def test_undecodable_bytes_are_shown_and_command_no_terminal(refused: Command) -> None:
    (letter_id,) = [
        group["last"]
        for group in refused("dlq", "list", "--json").document
        if group["count"] == 1 and group["reason"] != "count"
    ]
    assert refused("dlq", "show", letter_id, "--json").document["content"] == "\\xff\x00\x1b[2J not JSON"
    shown = refused("dlq", "show", letter_id).out
    assert shown.splitlines()[-1] == "\\xff\\x00\\x1b[2J not JSON"
    assert not {"\x1b", "\x00"} & set(shown)


def test_a_compressed_frame_is_shown_readable_with_its_other_fields(refused: Command) -> None:
    (group,) = [group for group in refused("dlq", "list", "--json").document if group["reason"] == "count"]
    letter = refused("dlq", "show", group["last"], "--json").document
    assert '"span_name": "whole"' in letter["content"]
    assert (letter["fields"]["n"], letter["fields"]["enc"], letter["fields"]["odd"]) == ("7", "zstd", "\\xfe")
    shown = refused("dlq", "show", group["last"]).out
    assert '"span_name": "whole"' in shown
    assert "enc: zstd" in shown


def test_letters_of_several_partitions_are_told_apart(command: Command, redis_url: str, prefix: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(events_key(prefix, 2), {b"body": b"nonsense"})
    command("worker", "--drain", TRACEQUEUE_PARTITIONS="3")
    (group,) = command("dlq", "list", "--json", TRACEQUEUE_PARTITIONS="3").document
    assert group["last"].startswith("2:")
    letter = command("dlq", "show", group["last"], "--json", TRACEQUEUE_PARTITIONS="3").document
    assert letter["content"] == "nonsense"


def test_a_long_original_is_cut_on_the_screen_and_whole_in_json(command: Command, redis_url: str, prefix: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(dead_key(prefix, 0), {"reason": "schema", "error": "e", "raw": "x" * 50_000}, id="5-0")
    assert command("dlq", "show", "5-0").out.splitlines()[-1] == "… 30000 more characters: --json has them"
    assert len(command("dlq", "show", "5-0", "--json").document["content"]) == 50_000


def test_without_letters_it_says_so_and_an_unknown_one_is_a_no(command: Command) -> None:
    assert command("dlq", "list", "--json").document == []
    said = command("dlq", "list")
    assert (said.code, said.out, said.err) == (0, "", "no dead letters\n")
    gone = command("dlq", "show", "1790000000000-0", "--json")
    assert (gone.code, gone.out, gone.err) == (1, "", "there is no dead letter 1790000000000-0\n")
