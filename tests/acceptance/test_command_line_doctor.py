"""`tracequeue doctor` as a person and a script use it."""

from pathlib import Path

from tests.fixtures.command import Command
from tests.fixtures.own_servers import OwnServer
from tests.fixtures.servers import free_port

VERDICTS = {"ok", "warn", "fail", "away"}


def test_sound_servers_exit_with_0(own_redis: OwnServer, own_postgres: OwnServer, tmp_path: Path) -> None:
    own_postgres.stop()
    own_postgres.start("-c", "fsync=on")
    command = Command(
        tmp_path,
        TRACEQUEUE_REDIS_URL=own_redis.url,
        TRACEQUEUE_DATABASE_URL=own_postgres.url,
        TRACEQUEUE_SPOOL_DIR="spool",
    )
    answer = command("doctor")
    assert (answer.code, "0 of" in answer.err) == (0, True), answer
    assert not (tmp_path / "spool").exists()


def test_a_failing_check_exits_with_1_and_has_its_cure_below_it(command: Command) -> None:
    answer = command("doctor")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert {line.split()[0] for line in lines if line.strip() and not line.startswith(" ")} <= VERDICTS
    failed = next(number for number, line in enumerate(lines) if line.startswith("fail"))
    assert lines[failed + 1].strip().startswith("→ set fsync = on")
    assert "\x1b" not in answer.out
    document = command("doctor", "--json").document
    assert [one["check"] for one in document["findings"] if one["verdict"] == "fail"] == ["durability"]
    assert document["away"] == {}


def test_a_server_that_is_away_exits_with_3_and_the_other_is_looked_at(command: Command) -> None:
    port = free_port()
    answer = command("doctor", TRACEQUEUE_REDIS_URL=f"redis://127.0.0.1:{port}/0")
    assert answer.code == 3
    assert f"Redis at 127.0.0.1:{port} cannot be reached" in answer.out
    assert "PostgreSQL" in answer.out
    assert "Redis is away" in answer.err
    document = command("doctor", "--json", TRACEQUEUE_DATABASE_URL=f"postgresql://127.0.0.1:{port}/x").document
    assert list(document["away"]) == ["postgres"]
    assert any(one["subject"] == "redis" for one in document["findings"])


def test_a_setting_that_is_wrong_is_a_matter_of_usage(command: Command) -> None:
    answer = command("doctor", TRACEQUEUE_SPOOL_BYTES="1")
    assert (answer.code, "TRACEQUEUE_SPOOL_BYTES='1'" in answer.err) == (2, True)
