"""One trace as a tree with timings, in colours."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.text import Text
from rich.tree import Tree

from tracequeue_worker.read_models import Span, Trace
from tracequeue_worker.trace_tree import (
    Children,
    Place,
    Words,
    children_of,
    heading_words,
    payload_words,
    place_of,
    span_words,
    state_words,
)


def trace_tree(trace: Trace, spans: Sequence[Span], *, with_payloads: bool = False) -> Tree:
    """The trace's steps in the order in which they started, each with its offset from the start of the trace."""
    tree = Tree(_text(heading_words(trace)))
    _add(tree, None, children_of(spans), trace.start_time, with_payloads)
    return tree


def status_text(state: str) -> Text:
    return Text(*state_words(state))


def _add(tree: Tree, place: Place, children: Children, start: datetime, with_payloads: bool) -> None:
    for span in children.get(place, ()):
        branch = tree.add(_text(span_words(span, start)))
        if with_payloads:
            for words in payload_words(span):
                branch.add(Text(*words))
        _add(branch, place_of(span), children, start, with_payloads)


def _text(words: Iterable[Words]) -> Text:
    return Text.assemble(*words)
