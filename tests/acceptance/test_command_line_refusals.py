"""Bad settings and unfit servers: said in one line with the cure, and nothing is acknowledged."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from tests.fixtures.command import Answer, Command
from tests.fixtures.frames import frame, span
from tests.fixtures.servers import free_port
from tracequeue.keys import dead_key, events_key

SECRET = "s3cret-w0rd"
LOOKING = (("status",), ("traces",), ("dlq", "list"))


def said_in_a_line(answer: Answer, code: int, *parts: str) -> None:
    """The line is the last one: a worker may have logged before it."""
    line = answer.err.splitlines()[-1]
    assert (answer.code, answer.out) == (code, ""), answer
    assert line.startswith("tracequeue: ")
    assert all(part in line for part in parts), line
    assert SECRET not in answer.err


@pytest.mark.parametrize(
    ("variable", "value", "parts"),
    [
        ("TRACEQUEUE_BATCH_ROWS", "0", ("TRACEQUEUE_BATCH_ROWS='0'", "greater than or equal to 1")),
        ("TRACEQUEUE_BATCH_ROWS", "many", ("TRACEQUEUE_BATCH_ROWS='many'", "valid integer")),
        ("TRACEQUEUE_MIN_IDLE_MS", "5", ("TRACEQUEUE_MIN_IDLE_MS='5'", "greater than or equal to 1000")),
        ("TRACEQUEUE_PREFIX", "{a}", ("TRACEQUEUE_PREFIX='{a}'", "must not contain braces")),
        ("TRACEQUEUE_SINK", "disk", ("TRACEQUEUE_SINK='disk'", "'postgres'")),
        ("TRACEQUEUE_LOG_FORMAT", "xml", ("TRACEQUEUE_LOG_FORMAT='xml'", "'text' or 'json'")),
        ("TRACEQUEUE_REDIS_URL", f"http://:{SECRET}@h", ("TRACEQUEUE_REDIS_URL", "must start with redis://")),
        ("REDIS_URL", f"redis://:{SECRET}#@h/0", ("REDIS_URL", "percent-encode user and password")),
        ("TRACEQUEUE_REDIS_URL", f"redis://:{SECRET}@h/0?db=x", ("TRACEQUEUE_REDIS_URL", "option")),
        ("TRACEQUEUE_DATABASE_URL", f"mysql://u:{SECRET}@h/x", ("must start with postgresql://",)),
        ("DATABASE_URL", f"postgresql://u:{SECRET}/@h/x", ("DATABASE_URL", "percent-encode")),
    ],
)
def test_a_bad_setting_is_named_with_value_and_cure(
    alone: Command, variable: str, value: str, parts: tuple[str, ...]
) -> None:
    answer = alone("worker", "--drain", **{variable: value})
    said_in_a_line(answer, 2, *parts)
    assert len(answer.err.splitlines()) == 1
    assert "TRACEQUEUE_TRACEQUEUE" not in answer.err


def test_a_bad_day_is_named_too(command: Command) -> None:
    said_in_a_line(
        command("worker", "--drain", TRACEQUEUE_PAST_LIMIT="never"), 2, "TRACEQUEUE_PAST_LIMIT='never'", "2000"
    )


def test_a_misspelt_variable_is_told_and_not_refused(command: Command) -> None:
    answer = command("traces", TRACEQUEUE_DATABSE_URL="x")
    assert answer.code == 0
    assert "TRACEQUEUE_DATABSE_URL is no setting: is it TRACEQUEUE_DATABASE_URL?" in answer.err.splitlines()


@pytest.fixture
def waiting(redis_url: str, prefix: str) -> Iterator[redis.Redis]:
    """A client of a Redis in which a good frame and a bad one wait, and still do at the end."""
    key = events_key(prefix, 0)
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(key, frame(span()))
        client.xadd(key, {"body": "nonsense"})
        yield client
        assert client.xlen(key) == 2
        groups = client.xinfo_groups(key)
        assert not groups or groups[0]["pending"] == groups[0]["entries-read"]
        assert not client.exists(dead_key(prefix, 0))


@pytest.mark.usefixtures("waiting")
def test_a_wrong_database_password(command: Command) -> None:
    right = urlsplit(command.environment["TRACEQUEUE_DATABASE_URL"])
    wrong = right._replace(netloc=f"postgres:{SECRET}@{right.hostname}:{right.port}").geturl()
    for arguments in (("worker", "--drain"), ("migrate",), ("status",), ("traces",)):
        answer = command(*arguments, "--json", TRACEQUEUE_DATABASE_URL=wrong)
        said_in_a_line(answer, 3, str(right.port), "check the user and the password in TRACEQUEUE_DATABASE_URL")


@pytest.mark.usefixtures("waiting")
def test_a_wrong_redis_password(command: Command, redis_url: str) -> None:
    right = urlsplit(redis_url)
    wrong = right._replace(netloc=f"nobody:{SECRET}@{right.hostname}:{right.port}").geturl()
    for arguments in (("worker", "--drain"), ("status",), ("dlq", "list")):
        answer = command(*arguments, "--json", TRACEQUEUE_REDIS_URL=wrong)
        said_in_a_line(answer, 3, f"127.0.0.1:{right.port}", "TRACEQUEUE_REDIS_URL")


@pytest.mark.usefixtures("waiting")
def test_unreachable_servers(command: Command) -> None:
    port = free_port()
    redis_url, database_url = f"redis://:{SECRET}@127.0.0.1:{port}/0", f"postgresql://u:{SECRET}@127.0.0.1:{port}/x"
    for arguments in (("worker", "--drain"), ("status",), ("dlq", "list")):
        answer = command(*arguments, TRACEQUEUE_REDIS_URL=redis_url)
        said_in_a_line(answer, 3, f"Redis at 127.0.0.1:{port} cannot be reached", "start it, or check")
    for arguments in (("worker", "--drain"), ("migrate",), ("traces",)):
        answer = command(*arguments, TRACEQUEUE_DATABASE_URL=database_url)
        said_in_a_line(answer, 3, f"PostgreSQL at 127.0.0.1:{port}/x", "start it, or check TRACEQUEUE_DATABASE_URL")


@pytest.mark.usefixtures("waiting")
def test_missing_tables(command: Command, database_url: str) -> None:
    for arguments in (("worker", "--drain"), ("status",), ("traces",)):
        answer = command(*arguments, TRACEQUEUE_DATABASE_URL=database_url)
        said_in_a_line(answer, 3, "no tracequeue tables", "run `tracequeue migrate`")


async def test_one_missing_table(command: Command, waiting: redis.Redis) -> None:
    import asyncpg

    connection = await asyncpg.connect(command.environment["TRACEQUEUE_DATABASE_URL"])
    await connection.execute("DROP TABLE pipeline_emitters, pipeline_spans CASCADE")
    await connection.close()
    for arguments in (("worker", "--drain"), ("status",), ("traces",)):
        said_in_a_line(command(*arguments), 3, "does not exist", "run `tracequeue migrate`")


def test_an_evicting_redis(command: Command, waiting: redis.Redis) -> None:
    waiting.config_set("maxmemory-policy", "allkeys-lru")
    try:
        for arguments in (("worker", "--drain"), ("dlq", "list")):
            said_in_a_line(command(*arguments), 3, "allkeys-lru", "CONFIG SET maxmemory-policy noeviction")
    finally:
        waiting.config_set("maxmemory-policy", "noeviction")


def test_a_key_of_another_type(command: Command, redis_url: str, prefix: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(events_key(prefix, 0), "text")
    said_in_a_line(command("worker", "--drain"), 3, "holds no stream", "TRACEQUEUE_PREFIX")
