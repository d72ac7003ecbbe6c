"""The logging filter: every record carries its trace and span, and every record passes."""

import io
import logging
from collections.abc import Iterator

import pytest

from tracequeue import TraceContext, current_span, span, traced_span
from tracequeue.log_filter import TraceLogFilter
from tracequeue.testing import MemoryCollector


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(TraceLogFilter())
    handler.setFormatter(logging.Formatter("%(trace_id)s %(span_id)s %(message)s"))
    logger = logging.getLogger("a.bot")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield stream
    logger.removeHandler(handler)


def test_outside_a_trace_there_are_dashes(output: io.StringIO) -> None:
    logging.getLogger("a.bot").info("hello")
    assert output.getvalue() == "- - hello\n"


def test_in_a_trace_there_is_its_id_and_in_a_span_both(output: io.StringIO, recorded: MemoryCollector) -> None:
    child = logging.getLogger("a.bot.of.mine")

    @traced_span("agent:trainer")
    def run() -> None:
        child.info("in the agent")

    with TraceContext("support") as trace:
        child.info("in the trace")
        run()
        with span("db:lookup"):
            child.info("in the block")
    lookup, agent = sorted(recorded.spans, key=lambda one: one["span_name"], reverse=True)
    assert output.getvalue().splitlines() == [
        f"{trace.trace_id} - in the trace",
        f"{trace.trace_id} {agent['span_id']} in the agent",
        f"{trace.trace_id} {lookup['span_id']} in the block",
    ]


def test_a_trace_that_is_not_recorded_has_its_id_too(output: io.StringIO) -> None:
    with TraceContext("support") as trace:
        current_span().set_attribute("x", 1)
        logging.getLogger("a.bot").info("hello")
    assert output.getvalue() == f"{trace.trace_id} - hello\n"
