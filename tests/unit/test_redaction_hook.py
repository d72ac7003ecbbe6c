"""The user's hook decides what goes, after the rules; one that fails sends no content."""

import json
import logging
from typing import Any

import pytest

from tests.fixtures.secrets import SPAN, STARTED, frame, redacted
from tracequeue.redaction import redact


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
