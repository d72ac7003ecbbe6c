"""Misspelt variables are told, in a bot and at the command line; those of others are left alone."""

import logging

import pytest

from tracequeue import collector as process
from tracequeue import init_collector
from tracequeue.misspelt import misspelt
from tracequeue.settings import EmitterSettings
from tracequeue_worker.settings import WorkerSettings


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("TRACEQUEUE_SAMPL_RATE", "TRACEQUEUE_SAMPLE_RATE"),
        ("TRACEQUEUE_REDISURL", "TRACEQUEUE_REDIS_URL"),
        ("TRACEQUEUE_ENABLE", "TRACEQUEUE_ENABLED"),
    ],
)
def test_what_is_nearly_a_setting_is_told(variable: str, meant: str) -> None:
    assert list(misspelt({variable: "1"}, EmitterSettings.model_fields)) == [
        f"{variable} is no setting: is it {meant}?"
    ]


def test_settings_of_the_other_side_and_foreign_variables_are_not() -> None:
    of_workers = {f"TRACEQUEUE_{name.upper()}": "" for name in WorkerSettings.model_fields}
    of_bots = {f"TRACEQUEUE_{name.upper()}": "" for name in EmitterSettings.model_fields}
    foreign = {"TRACEQUEUE_TEST_REDIS_URL": "", "TRACEQUEUE_DEPLOYMENT": "", "SAMPL_RATE": ""}
    assert list(misspelt(of_workers | of_bots | foreign, EmitterSettings.model_fields)) == []
    assert list(misspelt(of_workers | foreign, WorkerSettings.model_fields)) == []


def test_a_bot_logs_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("TRACEQUEUE_SAMPL_RATE", "0.5")
    before = process.get_collector()
    process.use(None)
    try:
        with caplog.at_level(logging.WARNING, "tracequeue"):
            init_collector()
    finally:
        process.use(before)
    assert "is it TRACEQUEUE_SAMPLE_RATE?" in caplog.text
