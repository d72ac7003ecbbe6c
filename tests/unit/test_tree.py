"""A trace's tree shows every span once, whatever its spans say of their parents."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tracequeue_worker.cli.tree import trace_tree
from tracequeue_worker.printable import json_text
from tracequeue_worker.read_models import Span, Trace
from tracequeue_worker.trace_tree import DEEPEST, trace_document, trace_text

START = datetime(2026, 1, 1, tzinfo=UTC)
TRACE = Trace.model_construct(
    trace_id=UUID(int=1), pipeline_name="p", start_time=START, duration_ms=1.0, state="ok", completeness="complete",
    telegram_id=None, parent=None, missing=None,
)  # fmt: skip


def spans_of(parents: list[tuple[str, str | None]]) -> list[Span]:
    return [
        Span(
            trace_id=TRACE.trace_id, span_id=span_id, parent_span_id=parent, span_name=f"number {number}.", kind=None,
            start_time=START + timedelta(milliseconds=number), end_time=START, duration_ms=1, status="ok", success=True,
            error=None, input_data=None, output_data=None, attributes=None, truncated=None, created_at=START,
        )
        for number, (span_id, parent) in enumerate(parents)
    ]  # fmt: skip


def drawn(spans: list[Span]) -> str:
    console = Console(width=100_000)
    with console.capture() as captured:
        console.print(trace_tree(TRACE, spans))
    return captured.get()


def names_in(document: dict[str, Any]) -> list[str]:
    found, waiting = [], list(document["spans"])
    while waiting:
        one = waiting.pop()
        found.append(one["span_name"])
        waiting += one["children"]
    return sorted(found)


ids = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(ids, st.none() | ids), max_size=20))
def test_each_span_once(parents: list[tuple[str, str | None]]) -> None:
    """Circles, strangers, and ids used again and again."""
    spans = spans_of(parents)
    text = drawn(spans)
    plain = "\n".join(trace_text(TRACE, spans))
    assert all(text.count(span.span_name) == plain.count(span.span_name) == 1 for span in spans)
    assert names_in(trace_document(TRACE, spans)) == sorted(span.span_name for span in spans)


def test_children_stand_below_their_parents() -> None:
    spans = spans_of([("a", None), ("b", "a"), ("c", "b"), ("d", "elsewhere")])
    (first, last) = trace_document(TRACE, spans)["spans"]
    assert first["children"][0]["children"][0]["span_id"] == "c"
    assert last["span_id"] == "d"


def test_plain_text_shows_what_stands_below_what() -> None:
    spans = spans_of([("a", None), ("b", "a"), ("c", "b"), ("d", "a"), ("e", None)])
    drawn_lines = [line.partition(".")[0] for line in trace_text(TRACE, spans)]
    assert drawn_lines == ["├ number 0", "│ ├ number 1", "│ │ └ number 2", "│ └ number 3", "└ number 4"]


def test_a_chain_is_as_deep_as_can_be_drawn() -> None:
    length = 20 * DEEPEST
    spans = spans_of([(str(number), str(number - 1)) for number in range(length)])
    document = trace_document(TRACE, spans)
    assert len(document["spans"]) == 20
    assert len(names_in(document)) == length
    assert json_text(document)
    assert drawn(spans).count("number") == length


def test_ids_used_twice_at_every_level_are_not_multiplied() -> None:
    spans = spans_of([(str(level), str(level - 1)) for level in range(40) for _ in range(2)])
    assert drawn(spans).count("number") == 80
