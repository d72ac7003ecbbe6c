"""What alerts say: spans of time, and foreign text that may not command."""

from datetime import timedelta

import pytest

from tracequeue_worker.alerts.wording import shown_error, shown_name, shown_span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"), (-5, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (3605, "1 h"),
        (7500, "2 h 5 min"), (86_400, "1 day"), (266_460, "3 days 2 h"),
    ],
)  # fmt: skip
def test_spans(seconds: float, said: str) -> None:
    assert shown_span(timedelta(seconds=seconds)) == said


def test_foreign_text_is_escaped_cut_before_that_and_on_one_line() -> None:
    assert shown_name("<b>&\n\u202e") == "&lt;b&gt;&amp; \\u202e"
    assert shown_name("&" * 99) == "&amp;" * 63 + "…"
    assert shown_error("'\"") == "'\""


def test_secrets_in_errors_are_hidden() -> None:
    assert "sk-ant-api03" not in shown_error("401: sk-ant-api03-" + "a1B2c3D4" * 12)
