"""Secrets do not leave the bot, found by key and by form; and what is hidden is said."""

import json
from typing import Any

import orjson
import pytest

from tests.fixtures.secrets import FORMS, HEARTS, PLAIN_KEYS, SECRET_KEYS, SPAN, STARTED, TELEGRAM, frame, redacted
from tracequeue.redaction import redact
from tracequeue.redaction.secrets import hide, is_secret


@pytest.mark.parametrize("key", SECRET_KEYS)
@pytest.mark.parametrize("value", ["hunter2", ["hunter2"], {"is": "hunter2"}])
def test_values_under_secret_keys(key: str, value: object) -> None:
    content = {key: value, "other": 1}
    for event in (SPAN | {"input_data": [content]}, SPAN | {"output_data": content}, SPAN | {"attributes": content}):
        result = redacted(event)
        assert "hunter2" not in json.dumps(result)
        assert '"[redacted]"' in json.dumps(result)
        assert list(result["truncated"].values()) == [{"redacted": 1}]


@pytest.mark.parametrize("key", PLAIN_KEYS)
def test_other_keys_are_left_alone(key: str) -> None:
    body = frame(SPAN | {"input_data": {key: "value"}, "attributes": {key: 812}})
    assert redact(body) == body


@pytest.mark.parametrize("value", [None, True, False, "", 12, "[redacted]"])
def test_flags_and_counts_are_no_secrets(value: object) -> None:
    body = frame(SPAN | {"input_data": {"token": value}})
    assert redact(body) == body


def test_a_numeric_password_is_a_secret() -> None:
    assert is_secret("password", 1234)


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_secrets_in_any_text(name: str) -> None:
    text = f"call to https://host/bot{FORMS[name]}/send failed"
    for event in (
        SPAN | {"error": text},
        SPAN | {"input_data": text},
        SPAN | {"output_data": {"deep": [text]}},
        SPAN | {"attributes": {"exception.stacktrace": text}},
        SPAN | {"attributes": {text: 1}},
        SPAN | {"span_name": text},
        SPAN | {"truncated": {f"input_data.{text}": {"characters_cut": 3}}},
        STARTED | {"metadata": {"from": text}},
        STARTED | {"session_id": text},
        STARTED | {"tags": ["a", text]},
    ):
        result = redacted(event)
        assert HEARTS[name] not in json.dumps(result)
        assert "[redacted]" in json.dumps(result)
        assert "failed" in json.dumps(result), "the rest of the text stays"


def test_bearer_tokens_and_passwords_in_urls() -> None:
    result = redacted(
        SPAN | {"input_data": ["curl -H 'Authorization: Bearer abc123def456'", "redis://:hunter2@host/0"]}
    )
    assert result["input_data"] == ["curl -H 'Authorization: Bearer [redacted]'", "redis://:[redacted]@host/0"]
    assert redacted(SPAN | {"error": "amqp://bot:p@ss:w@rd@host"})["error"] == "amqp://bot:[redacted]@host"
    assert redacted(SPAN | {"error": TELEGRAM})["error"] == "123456789:[redacted]"


ESCAPED = [
    *("Bearer\tabc123def", "bearer \n abc123def", "Bearer\x0babc123def", "Bearer\x0c\rabc123def"),
    *("a://:\"'@host", "a://us\\er:p\\ss@host", "a://\x01:\x02@host", "a://u:p@ss:w@rd@host", "\n://é:ü@\n", "://::@"),
    "\n-----BEGIN PRIVATE KEY-----\n",
    *(f'"{TELEGRAM}\\', f"\n{FORMS['openai']}\n", f'\\"{FORMS["jwt"]}'),
]


@pytest.mark.parametrize("text", ESCAPED)
def test_secrets_in_and_beside_what_json_escapes(text: str) -> None:
    assert redacted(SPAN | {"input_data": {"text": text}})["input_data"]["text"] == hide(text)[0] != text


def test_private_keys() -> None:
    text = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"
    assert "MIIEow" not in redacted(SPAN | {"input_data": text})["input_data"]


PLAIN_TEXTS = [
    *("ask-someone-who-knows-it-all", "task-2024-01-02-identifier-of-something", "a bearer of bad news"),
    *("mail ann@example.com", "https://host:8080/path?to=ann@example.com", "12:30", "AKIA", "risk_ik_", "eyJ and more"),
    *("see http://host/a:b then write to ann@host",),
]


@pytest.mark.parametrize("text", PLAIN_TEXTS)
def test_other_text_is_left_alone(text: str) -> None:
    body = frame(SPAN | {"input_data": {"text": text}})
    assert redact(body) == body


def test_structure_is_never_touched() -> None:
    parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    event = STARTED | {"parent": parent, "telegram_id": 7, "user_id": 8, "session_id": "s", "metadata": {"token": "x"}}
    result = redacted(event)
    assert {key: value for key, value in result.items() if key != "metadata"} == {
        key: value for key, value in event.items() if key != "metadata"
    }


def test_what_was_hidden_is_said_beside_what_was_cut() -> None:
    cut = {"input_data.text": {"characters_cut": 5}}
    event = SPAN | {"input_data": {"text": f"{TELEGRAM} {TELEGRAM}…", "password": "x"}, "truncated": cut}
    assert redacted(event)["truncated"] == {
        "input_data.text": {"characters_cut": 5, "redacted": 2},
        "input_data.password": {"redacted": 1},
    }


def test_a_trace_says_it_in_its_metadata() -> None:
    result = redacted(STARTED | {"metadata": {"password": "x"}, "tags": [TELEGRAM]})
    assert result["metadata"]["tracequeue.truncated"] == {
        "metadata.password": {"redacted": 1},
        "tags[0]": {"redacted": 1},
    }


def test_keys_that_become_equal_keep_their_values() -> None:
    first, second = TELEGRAM, TELEGRAM.replace("AAH", "AAG")
    result = redacted(SPAN | {"input_data": {first: 1, second: 2}})
    assert result["input_data"] == {"123456789:[redacted]": 1, "123456789:[redacted] (2)": 2}


def test_lines_without_secrets_and_lines_that_are_no_events_stay_byte_for_byte() -> None:
    odd = b'{"password": \n[1, "password\\":"]\n\n"token\\":"\n{"token":"x"'
    body = frame(SPAN) + b'{"type" : "span",  "input_data":{"a":1.0}}\n' + odd
    assert redact(body) == body


def test_only_the_line_with_the_secret_changes() -> None:
    lines = redact(frame(SPAN, SPAN | {"error": TELEGRAM}, STARTED)).split(b"\n")
    assert [lines[0], lines[2], lines[3]] == [orjson.dumps(SPAN), orjson.dumps(STARTED), b""]
    assert b"[redacted]" in lines[1]


def test_content_too_deep_to_look_at_is_not_sent() -> None:
    line = orjson.dumps(SPAN)[:-1] + b',"input_data":' + b"[" * 900 + b'{"password":"hunter2"}' + b"]" * 900 + b"}"
    result = json.loads(redact(line))
    assert result["input_data"] == "[redaction failed]"


def test_hiding_never_makes_an_event_too_large() -> None:
    body = frame(SPAN | {"input_data": [{"password": "x"}] * 60_000})
    assert json.loads(redact(body))["input_data"] == "[redaction failed]"


def test_an_empty_frame() -> None:
    assert redact(b"") == b""
    assert redact(b"", lambda event: event) == b""


@pytest.mark.parametrize(
    "event",
    [
        STARTED | {"metadata": {"password": "x"}},
        STARTED | {"tags": ["amqp://bot:hunter2@host"]},
        SPAN | {"error": "Bearer abc123def456 to amqp://bot:hunter2@host with " + TELEGRAM},
        SPAN | {"input_data": "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----"},
    ],
)
def test_a_second_pass_finds_nothing(event: dict[str, Any]) -> None:
    once = redact(frame(event))
    assert once != frame(event)
    assert redact(once) == once
