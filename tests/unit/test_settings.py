"""Both settings models: where values come from, and one line with the cure for each that cannot work."""

from collections.abc import Callable
from typing import Any

import pytest

from tracequeue.errors import SettingsError
from tracequeue.settings import EmitterSettings
from tracequeue_worker.settings import WorkerSettings

SECRET = "s3cret-w0rd"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("TRACEQUEUE_") or name in {"REDIS_URL", "DATABASE_URL"}:
            monkeypatch.delenv(name)


def emitter(**overrides: Any) -> EmitterSettings:
    return EmitterSettings.from_environment(**overrides)


def worker(**overrides: Any) -> WorkerSettings:
    return WorkerSettings.load(**overrides)


def refusal(load: Callable[..., object], **overrides: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**overrides)
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in text
    assert caught.value.__suppress_context__
    return text


def test_without_an_environment_there_are_defaults() -> None:
    assert emitter().redis_url == "redis://127.0.0.1:6379/0"
    assert worker().redis_url.get_secret_value() == "redis://127.0.0.1:6379/0"
    assert worker().consumer != worker().consumer


def test_plain_urls_are_taken_where_ours_are_not_set_or_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://plain/1")
    monkeypatch.setenv("DATABASE_URL", "postgres://plain/db")
    monkeypatch.setenv("TRACEQUEUE_REDIS_URL", "")
    assert emitter().redis_url == "redis://plain/1"
    assert worker().redis_url.get_secret_value() == "redis://plain/1"
    assert worker().database_url.get_secret_value() == "postgres://plain/db"
    monkeypatch.setenv("TRACEQUEUE_REDIS_URL", "redis://ours/2")
    monkeypatch.setenv("TRACEQUEUE_DATABASE_URL", "postgresql://ours/db")
    assert emitter().redis_url == worker().redis_url.get_secret_value() == "redis://ours/2"
    assert worker().database_url.get_secret_value() == "postgresql://ours/db"


def test_keywords_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEQUEUE_PREFIX", "from-environment")
    monkeypatch.setenv("TRACEQUEUE_REDIS_URL", "redis://environment")
    assert (emitter().prefix, worker().prefix) == ("from-environment", "from-environment")
    assert emitter(prefix="mine", redis_url="redis://mine").redis_url == "redis://mine"
    assert worker(prefix="mine").prefix == "mine"
    assert worker(redis_url="redis://mine").redis_url.get_secret_value() == "redis://mine"
    assert worker(prefix=None).prefix == "from-environment"


def test_plain_variables_of_other_programs_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFIX", "SERVICE", "ENVIRONMENT", "GROUP", "SINK", "ENABLED"):
        monkeypatch.setenv(name, "theirs")
    assert (emitter().prefix, emitter().service, emitter().enabled) == ("tracequeue", "", True)
    assert (worker().group, worker().sink) == ("persist", "postgres")


def test_words_of_the_environment_become_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENABLED": "false", "SAMPLE_RATE": "0.25", "PARTITIONS": "4", "CAPTURE": "metadata"}.items():
        monkeypatch.setenv(f"TRACEQUEUE_{name}", value)
    settings = emitter()
    assert (settings.enabled, settings.sample_rate, settings.partitions, settings.capture) == (
        False,
        0.25,
        4,
        "metadata",
    )
    assert worker().partitions == 4


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("SAMPLE_RATE", "1.5", "less than or equal to 1"), ("SAMPLE_RATE", "nan", "1"),
        ("SAMPLE_RATE", "half", "valid number"), ("PARTITIONS", "0", "greater than or equal to 1"),
        ("ENABLED", "maybe", "valid boolean"), ("CAPTURE", "most", "'full', 'metadata' or 'off'"),
        ("PREFIX", "a{b}", "must not contain braces"), ("PREFIX", "x" * 101, "at most 100 characters"),
        ("BUFFER_BYTES", "10", "greater than or equal to 1048576"), ("MAX_VALUE_BYTES", "1", "256"),
        ("LINGER_MS", "-1", "greater than or equal to 0"),
    ],
)  # fmt: skip
def test_a_wrong_value_for_the_emitter(monkeypatch: pytest.MonkeyPatch, name: str, value: str, cure: str) -> None:
    monkeypatch.setenv(f"TRACEQUEUE_{name}", value)
    text = refusal(emitter)
    assert text.startswith(f"TRACEQUEUE_{name}={value!r}: ")
    assert cure in text


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("BATCH_ROWS", "0", "greater than or equal to 1"), ("BATCH_BYTES", "1k", "valid integer"),
        ("BATCH_LINGER_MS", "60001", "less than or equal to 60000"), ("MIN_IDLE_MS", "999", "1000"),
        ("SINK", "disk", "'postgres'"), ("PREFIX", "{", "must not contain braces"), ("PARTITIONS", "1025", "1024"),
        ("FUTURE_DAYS", "0", "greater than or equal to 1"), ("LOG_FORMAT", "xml", "'text' or 'json'"),
    ],
)  # fmt: skip
def test_a_wrong_value_for_the_worker(monkeypatch: pytest.MonkeyPatch, name: str, value: str, cure: str) -> None:
    monkeypatch.setenv(f"TRACEQUEUE_{name}", value)
    text = refusal(worker)
    assert text.startswith(f"TRACEQUEUE_{name}={value!r}: ")
    assert cure in text


@pytest.mark.parametrize("load", [emitter, worker])
@pytest.mark.parametrize("variable", ["TRACEQUEUE_REDIS_URL", "REDIS_URL"])
@pytest.mark.parametrize(
    ("url", "cure"),
    [
        ("nonsense", "must start with redis://"), (f"http://:{SECRET}@h", "must start with redis://"),
        (f"redis://:{SECRET}@h:0/0", "port between 1 and 65535"), (f"redis://:{SECRET}@h:99999/0", "percent-encode"),
        (f"redis://:{SECRET}#@h/0", "percent-encode"), (f"redis://:{SECRET}[@h/0", "percent-encode"),
        ("unix://", "must name a socket"), (f"redis://:{SECRET}@h/0?db={SECRET}", "an option"),
        (f"redis://h/0?{SECRET}=1", "an option"),
    ],
)  # fmt: skip
def test_a_redis_url_that_cannot_work(
    monkeypatch: pytest.MonkeyPatch, load: Callable[[], object], variable: str, url: str, cure: str
) -> None:
    monkeypatch.setenv(variable, url)
    text = refusal(load)
    assert text.startswith("TRACEQUEUE_REDIS_URL (or REDIS_URL): ")
    assert cure in text


@pytest.mark.parametrize("variable", ["TRACEQUEUE_DATABASE_URL", "DATABASE_URL"])
@pytest.mark.parametrize(
    "url", [f"mysql://u:{SECRET}@h", f"postgresql://u:{SECRET}/@h/x", f"postgres://u:{SECRET}[@h/x"]
)
def test_a_database_url_that_cannot_work(monkeypatch: pytest.MonkeyPatch, variable: str, url: str) -> None:
    monkeypatch.setenv(variable, url)
    assert refusal(worker).startswith("TRACEQUEUE_DATABASE_URL (or DATABASE_URL): ")


@pytest.mark.parametrize(
    "url", ["rediss://h:1/0", "unix:///run/redis.sock?db=1", "redis://u:p%40@h/0?socket_timeout=3"]
)
def test_redis_urls_that_work(url: str) -> None:
    assert emitter(redis_url=url).redis_url == worker(redis_url=url).redis_url.get_secret_value() == url


def test_valkey_is_redis_to_the_client() -> None:
    assert emitter(redis_url="valkey://h/0").redis_url == "redis://h/0"
    assert worker(redis_url="valkeys://h/0").redis_url.get_secret_value() == "rediss://h/0"


def test_a_wrong_keyword_is_named_with_its_value() -> None:
    assert refusal(emitter, sample_rate=7).startswith("TRACEQUEUE_SAMPLE_RATE=7: ")
    assert refusal(worker, batch_rows=-1).startswith("TRACEQUEUE_BATCH_ROWS=-1: ")
    assert refusal(worker, redis_url=f"x{SECRET}").startswith("TRACEQUEUE_REDIS_URL (or REDIS_URL): ")
    assert refusal(emitter, sampling=1) == "sampling: there is no such setting"


def test_settings_are_frozen_and_keep_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:{SECRET}@h/0")
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{SECRET}@h/x")
    for settings in (emitter(), worker()):
        assert SECRET not in repr(settings) + str(settings) + f"{settings!r:>5}"
        with pytest.raises(ValueError, match="frozen"):
            settings.prefix = "other"  # type: ignore[misc]
