"""Secrets do not leave the bot: by key, by form, by the user's hook; and what is hidden is said."""

import json
import logging
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracequeue.events import ANY_EVENT
from tracequeue.redaction import redact
from tracequeue.redaction.prefilter import suspicious_lines
from tracequeue.redaction.secrets import is_secret

SPAN = {
    "type": "span",
    "trace_id": "01902c5e-7b1a-7000-8000-0123456789ab",
    "span_id": "0123456789abcdef",
    "span_name": "agent:trainer",
    "start_time": 1_700_000_000_000_000,
    "end_time": 1_700_000_000_000_100,
    "duration_ms": 0.1,
    "status": "ok",
    "success": True,
}
STARTED = {
    "type": "trace.started",
    "trace_id": "01902c5e-7b1a-7000-8000-0123456789ab",
    "pipeline_name": "support",
    "start_time": 1_700_000_000_000_000,
}


def frame(*events: dict[str, Any]) -> bytes:
    return b"".join(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE) for event in events)


def redacted(event: dict[str, Any], redactor: Any = None) -> dict[str, Any]:
    body = redact(frame(event), redactor)
    (line,) = body.splitlines()
    ANY_EVENT.validate_json(line)
    result: dict[str, Any] = json.loads(line)
    return result


SECRET_KEYS = [
    *("password", "Password", "DB_PASSWORD", "PaSsWoRd", "passwd", "userPassword", "secret", "client_secret"),
    *("clientSecret", "client-secret", "token", "access_token", "accessToken", "refresh_token", "botToken"),
    *("api_key", "apiKey", "apikey", "api-key", "X-API-Key", "OPENAI_API_KEY", "Authorization", "cookie"),
    *("Set-Cookie", "cookies", "private_key", "privateKey", "credentials", "credential", "secret_key"),
    *("aws_secret_access_key", "http.request.header.authorization"),
]
PLAIN_KEYS = [
    *("input_tokens", "max_tokens", "maxTokens", "token_count", "tokenizer", "gen_ai.usage.input_tokens"),
    *("key", "keyboard", "monkey", "primary_key", "author", "pass", "compass", "secretary"),
]


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


TELEGRAM = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1"
FORMS = {
    "telegram": TELEGRAM,
    "openai": "sk-abcdefghijklmnopqrstuvwx1234567890ABCDEFGHIJKLMN",
    "openai project": "sk-proj-abc_def-ghijklmnopqrstuvwx",
    "anthropic": "sk-ant-api03-abc_def-ghijklmnopqrstuvwx",
    "github": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github fine": "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "slack": "xoxb-123456789012-abcdefghijklmnop",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "google": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "insforge": "ik_" + "0123456789abcdef" * 4,
}
HEARTS = {name: form[len(form) // 2 :] for name, form in FORMS.items()}
"""A part of each that must not be seen."""


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


# The user's hook


def test_the_hook_sees_each_event_after_the_rules_and_decides_what_goes() -> None:
    seen = []

    def hook(event: dict[str, Any]) -> dict[str, Any]:
        seen.append(event["input_data"])
        return event | {"input_data": "mine", "telegram_id": None}

    result = redacted(SPAN | {"input_data": {"password": "x"}}, hook)
    assert seen == [{"password": "[redacted]"}]
    assert result["input_data"] == "mine"


def test_the_hook_cannot_change_what_makes_the_event() -> None:
    def hook(event: dict[str, Any]) -> dict[str, Any]:
        changed = dict.fromkeys(event, "changed") | {"parent_span_id": "f" * 16}
        return changed | {"span_name": "renamed"}

    assert redacted(SPAN, hook) == SPAN | {"span_name": "renamed"}


def fails(event: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("hunter2 in the message of the hook")


def grows(event: dict[str, Any]) -> dict[str, Any]:
    return event | {"output_data": "x" * 2_000_000}


def cyclic(event: dict[str, Any]) -> dict[str, Any]:
    event["input_data"] = event
    return event


def leaves(event: dict[str, Any]) -> dict[str, Any]:
    raise SystemExit("hunter2")


BAD_HOOKS = [
    fails,
    leaves,
    grows,
    cyclic,
    lambda event: None,
    lambda event: list(event.items()),
    lambda event: event | {"error": 5},
    lambda event: event | {"attributes": []},
    lambda event: event | {"span_name": ""},
    lambda event: event | {"input_data": object()},
    lambda event: event | {"input_data": "a\0"},
    lambda event: event | {1: "a"},
]


@pytest.mark.parametrize("hook", BAD_HOOKS)
def test_a_hook_that_fails_sends_no_content(hook: Any, caplog: pytest.LogCaptureFixture) -> None:
    content = {"input_data": "hunter2", "output_data": "hunter2", "error": "hunter2", "attributes": {"a": "hunter2"}}
    notes = {"input_data.hunter2": {"characters_cut": 1}}
    with caplog.at_level(logging.ERROR):
        result = redacted(SPAN | content | {"truncated": notes}, hook)
    assert "hunter2" not in json.dumps(result) + caplog.text
    assert {name: result[name] for name in SPAN} == SPAN
    assert result["input_data"] == result["error"] == "[redaction failed]"
    assert result["truncated"] == {"redaction": {"failed": "content removed"}}
    assert "1 events" in caplog.text


def test_a_hook_that_fails_on_a_trace_event() -> None:
    result = redacted(STARTED | {"metadata": {"a": "hunter2"}, "session_id": "hunter2", "tags": ["hunter2"]}, fails)
    assert "hunter2" not in json.dumps(result)
    assert result["metadata"]["tracequeue.truncated"] == {"redaction": {"failed": "content removed"}}


def test_a_hook_may_return_text_that_only_looks_like_nul() -> None:
    result = redacted(SPAN, lambda event: event | {"input_data": "\\u0000"})
    assert result["input_data"] == "\\u0000"


def test_a_failing_event_does_not_harm_its_neighbours() -> None:
    def hook(event: dict[str, Any]) -> dict[str, Any]:
        return {}[event["input_data"]] if event["input_data"] == 2 else event  # type: ignore[no-any-return]

    lines = redact(frame(*({**SPAN, "input_data": number} for number in range(4))), hook).splitlines()
    assert [json.loads(line)["input_data"] for line in lines] == [0, 1, "[redaction failed]", 3]


# Properties

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT | st.sampled_from(list(FORMS.values())),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXT | st.sampled_from([*SECRET_KEYS, *PLAIN_KEYS, *FORMS.values()]), inner, max_size=4)
    ),
    max_leaves=12,
)
EVENTS = st.builds(
    lambda value, error, attributes: SPAN | {"input_data": value, "error": error, "attributes": attributes},
    JSON,
    TEXT,
    st.dictionaries(TEXT | st.sampled_from(SECRET_KEYS), JSON, max_size=3),
)


@given(st.lists(EVENTS, max_size=4))
@settings(max_examples=200, deadline=None)
def test_redaction_is_idempotent_and_keeps_events_valid(events: list[dict[str, Any]]) -> None:
    once = redact(frame(*events))
    assert redact(once) == once
    lines = once.split(b"\n")
    assert len(lines) == len(events) + 1
    for line in lines[:-1]:
        ANY_EVENT.validate_json(line)


@given(EVENTS, st.sampled_from(list(FORMS)), TEXT, TEXT, st.data())
@settings(max_examples=300, deadline=None)
def test_no_secret_leaks_from_a_random_place(
    event: dict[str, Any], name: str, before: str, after: str, data: st.DataObject
) -> None:
    text = f"{before} {FORMS[name]} {after}"
    planted = plant(event["input_data"], text, data)
    line = redact(frame(event | {"input_data": planted}))
    assert HEARTS[name] not in line.decode()


def plant(value: Any, text: str, data: st.DataObject) -> Any:
    """The value with the text somewhere in it: as an item, a member or a key."""
    if isinstance(value, list) and value and data.draw(st.booleans()):
        index = data.draw(st.integers(0, len(value) - 1))
        return [*value[:index], plant(value[index], text, data), *value[index + 1 :]]
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(value)))
        return value | {key: plant(value[key], text, data)}
    return data.draw(st.sampled_from([text, [value, text], {text: value}, {"note": text, "was": value}]))


@given(st.lists(EVENTS, max_size=5))
@settings(max_examples=150, deadline=None)
def test_the_prefilter_misses_no_line(events: list[dict[str, Any]]) -> None:
    body = frame(*events)
    chosen = set(suspicious_lines(body))
    for index, event in enumerate(events):
        alone = frame(event)
        everything = redact(alone, lambda seen: seen)
        if b"[redacted]" in everything and b"[redacted]" not in alone:
            assert index in chosen
