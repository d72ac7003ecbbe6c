"""What the worker's log looks like."""

import json
import logging
from collections.abc import Iterator

import pytest

from tracequeue_worker.logs import set_up_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("json")
    logging.getLogger("tracequeue_worker.reader").info("two\nlines")
    (line,) = capsys.readouterr().err.splitlines()
    facts = json.loads(line)
    assert (facts["level"], facts["logger"], facts["message"]) == ("INFO", "tracequeue_worker.reader", "two\nlines")
    assert "time" in facts


def test_text_names_the_level_and_other_libraries_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("text")
    logging.getLogger("tracequeue_worker").warning("degraded")
    logging.getLogger("asyncio").info("chatter")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("WARNING degraded")


def test_text_fakes_no_record_and_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("text")
    logging.getLogger("tracequeue_worker").warning(
        "refused: %s", "x\n2026-01-01 00:00:00,000 ERROR   fake\x1b]52;c;x\x07"
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert "\\n2026" in line
    assert "\x1b" not in line
