"""Errors, stack traces and foreign text, as they are written beside a span."""

import pytest

from tracequeue.encoding import clean_text, error_text, stacktrace_text


def test_error_text() -> None:
    assert error_text(ValueError("bad\0")) == "ValueError: bad\ufffd"
    assert error_text(KeyError()) == "KeyError"
    assert error_text(OSError(2, "No such file")) == "FileNotFoundError: [Errno 2] No such file"
    long = error_text(ValueError("é" * 100_000), 100)
    assert len(long.encode()) <= 100
    assert long.startswith("ValueError: éé")
    assert long.endswith("…")


def test_error_text_of_a_broken_error() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise SystemExit

    assert error_text(Broken()) == "Broken: [no message: SystemExit]"


def test_stacktrace_keeps_the_last_frames_and_shows_no_locals() -> None:
    def deep(level: int) -> None:
        password = "hunter" + str(2 + level * 0)
        if level == 0:
            raise ValueError(len(password))
        deep(level - 1)

    with pytest.raises(ValueError, match="7") as caught:
        deep(300)
    text = stacktrace_text(caught.value, 1_000)
    assert len(text.encode()) <= 1_000
    assert text.endswith("ValueError: 7")
    assert "raise ValueError(len(password))" in text
    assert "hunter2" not in text


def test_stacktrace_shows_causes_and_survives_a_loop_of_them() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__context__ = second, first
    text = stacktrace_text(first)
    assert text.index("KeyError") < text.index("ValueError: first")


def test_clean_text() -> None:
    assert clean_text("a\0\ud800", 10) == "a\ufffd\ufffd"
    assert clean_text("x" * 300, 200) == "x" * 199 + "…"
    assert clean_text("x" * 200, 200) == "x" * 200
