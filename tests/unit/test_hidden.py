"""Secrets in foreign text are not shown."""

import json

import pytest

from tracequeue_worker.dead_letters.hidden import without_secrets

KEY = "sk-proj-0123456789abcdef0123"


@pytest.mark.parametrize(
    "text",
    [
        f"refused: {KEY}", '{"password": "hunter2"}', '{"a": [{"api_key": 12345}]}', '{"secrets": {"x": "hunter2"}}',
        '{"password": "hunter2", "cut in the mid', '{"token": "hunter2', "redis://user:hunter2@host/0",
        'fine\n{"password": "hunter2"}\nfine', '{"n": NaN, "password":"hunter2"}',
        "[" * 2000 + '{"password": "hunter2"}',
    ],
)  # fmt: skip
def test_they_are_replaced(text: str) -> None:
    shown = without_secrets(text)
    assert not {"hunter2", "12345", KEY} & set(shown.replace('"', " ").replace("/", " ").replace("@", " ").split())
    assert "hunter2" not in shown
    assert "[redacted]" in shown


@pytest.mark.parametrize(
    "text", ["", "no secret", '{ "max_tokens":  5, "token": 12 }', '{"a": 1}\n\n[2]', "{}", "ш\x1b"]
)
def test_the_rest_stays_as_it_is(text: str) -> None:
    assert without_secrets(text) == text


def test_a_line_that_hides_something_is_still_json() -> None:
    assert json.loads(without_secrets('{"text": "привет", "secret": "x"}')) == {
        "text": "привет",
        "secret": "[redacted]",
    }
