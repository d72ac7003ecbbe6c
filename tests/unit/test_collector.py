"""The process's collector: made once, with settings from one source."""

from collections.abc import Iterator

import pytest

from tracequeue import EmitterSettings, TraceContext, get_collector, init_collector
from tracequeue import collector as process
from tracequeue.errors import AlreadyInitialised, SettingsError

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    process.use(None)
    yield
    if (left := get_collector()) is not None:
        left.stop_sync(0)
    process.use(None)


def test_the_same_settings_give_the_same_collector() -> None:
    first = init_collector(redis_url=NOWHERE)
    assert init_collector(redis_url=NOWHERE) is first
    assert init_collector(EmitterSettings(redis_url=NOWHERE)) is first
    assert get_collector() is first


def test_other_settings_are_refused_until_the_first_is_stopped() -> None:
    first = init_collector(redis_url=NOWHERE)
    with pytest.raises(AlreadyInitialised, match="stop that collector first"):
        init_collector(redis_url=NOWHERE, service="other")
    first.stop_sync(0)
    assert init_collector(redis_url=NOWHERE, service="other") is not first


def test_settings_come_from_the_environment_and_keywords_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEQUEUE_SERVICE", "from the environment")
    monkeypatch.setenv("TRACEQUEUE_PARTITIONS", "3")
    collector = init_collector(redis_url=NOWHERE, service="from a keyword")
    assert (collector.settings.service, collector.settings.partitions) == ("from a keyword", 3)


def test_settings_and_keywords_together_are_a_mistake() -> None:
    with pytest.raises(TypeError, match="not both"):
        init_collector(EmitterSettings(), service="x")


def test_a_wrong_setting_is_refused_at_once() -> None:
    with pytest.raises(SettingsError, match="TRACEQUEUE_SAMPLE_RATE=2"):
        init_collector(sample_rate=2)
    assert get_collector() is None


def test_an_unused_or_disabled_collector_stops_at_once() -> None:
    collector = init_collector(redis_url=NOWHERE, enabled=False)
    with TraceContext("support"):
        pass
    assert collector.flush_sync(0)
    assert collector.stop_sync(0).complete
