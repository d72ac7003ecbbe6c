"""One trace as a tree with timings, for people and as nested JSON."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from rich.text import Text
from rich.tree import Tree

from tracequeue.gen_ai import REQUEST_MODEL
from tracequeue_worker.printable import one_line
from tracequeue_worker.read_models import Span, Trace

COLOURS = {"ok": "green", "error": "red", "cancelled": "yellow", "running": "cyan", "abandoned": "magenta"}
SHOWN_CHARACTERS = 300
DEEPEST = 100
"""Levels of a tree. Agents stay far below; beyond, it would be drawn off the screen, and off the stack."""

Place: TypeAlias = tuple[str, datetime] | None
"""A span within its trace, or None for the top."""
Children: TypeAlias = Mapping[Place, Sequence[Span]]


def trace_tree(trace: Trace, spans: Sequence[Span], *, with_payloads: bool = False) -> Tree:
    """The trace's steps in the order in which they started, each with its offset from the start of the trace."""
    tree = Tree(_heading(trace))
    _add(tree, None, _by_parent(spans), trace.start_time, with_payloads)
    return tree


def trace_document(trace: Trace, spans: Sequence[Span]) -> dict[str, Any]:
    """The trace with its spans nested under `spans` and `children`."""
    children = _by_parent(spans)

    def nested(place: Place) -> list[dict[str, Any]]:
        return [span.model_dump(mode="json") | {"children": nested(_place(span))} for span in children.get(place, ())]

    return trace.model_dump(mode="json") | {"spans": nested(None)}


def status_text(state: str) -> Text:
    return Text(state, style=COLOURS.get(state, ""))


def duration(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds / 1000:.2f} s" if milliseconds >= 1000 else f"{milliseconds:.1f} ms"


def _by_parent(spans: Sequence[Span]) -> Children:
    """Spans under their parents; at the top where the parent is not stored, is a descendant, or is too deep itself.

    Where an id was used for several spans, the first of them has the children.
    """
    first: dict[str, Span] = {}
    for span in spans:
        first.setdefault(span.span_id, span)
    parents = {span_id: span.parent_span_id for span_id, span in first.items()}
    depths: dict[str, int] = {}
    children: defaultdict[Place, list[Span]] = defaultdict(list)
    for span in spans:
        parent = first.get(span.parent_span_id or "")
        its_own = span is first[span.span_id] and not _depth(span.span_id, parents, depths)
        is_top = parent is None or its_own or _depth(parent.span_id, parents, depths) + 1 >= DEEPEST
        children[None if parent is None or is_top else _place(parent)].append(span)
    return children


def _place(span: Span) -> Place:
    return span.span_id, span.start_time


def _depth(span_id: str, parents: Mapping[str, str | None], depths: dict[str, int]) -> int:
    """How far below the top a span stands. `depths` keeps what is known: a chain may be as long as the trace."""
    way: list[str] = []
    one: str | None = span_id
    while one is not None and one in parents and one not in depths:
        depths[one] = -1  # until the way back: who comes here again goes round in a circle, and its last is a top
        way.append(one)
        one = parents[one]
    for below in reversed(way):
        depth = depths[one] + 1 if one is not None and one in parents else 0
        depths[below] = depth if depth < DEEPEST else 0
        one = below
    return depths[span_id]


def _add(tree: Tree, place: Place, children: Children, start: datetime, with_payloads: bool) -> None:
    for span in children.get(place, ()):
        branch = tree.add(_line(span, start))
        if with_payloads:
            for name, value in (("in ", span.input_data), ("out", span.output_data)):
                if value is not None:
                    branch.add(Text(f"{name} {_short(value)}", style="dim"))
        _add(branch, _place(span), children, start, with_payloads)


def _heading(trace: Trace) -> Text:
    person = f"  telegram {trace.telegram_id}" if trace.telegram_id is not None else ""
    heading = Text.assemble(
        (one_line(trace.pipeline_name), "bold"), f"  {trace.trace_id}  ", status_text(trace.state),
        f"  {duration(trace.duration_ms)}{person}", (_origin(trace), "dim"),
    )  # fmt: skip
    if trace.completeness != "complete":
        heading.append(f"  {trace.completeness}", style="yellow")
        if trace.missing:
            heading.append(f": {one_line(trace.missing)}", style="yellow")
    return heading


def _origin(trace: Trace) -> str:
    """The trace that this one was called from."""
    found = re.match(r"[0-9a-f]{2}-([0-9a-f]{32})-", trace.parent or "")
    return f"  from {UUID(found[1])}" if found else ""


def _line(span: Span, start: datetime) -> Text:
    offset = (span.start_time - start).total_seconds() * 1000
    line = Text.assemble(
        f"{one_line(span.span_name)}  ",
        status_text(span.status),
        f"  {duration(span.duration_ms)}",
        (f"  at +{offset:.1f} ms", "dim"),
    )
    if isinstance(span.attributes, dict) and REQUEST_MODEL in span.attributes:
        line.append(f"  {one_line(span.attributes[REQUEST_MODEL])}", style="blue")
    if span.error:
        line.append(f"  {_short(span.error)}", style="red")
    if span.truncated:
        line.append(f"  cut or redacted: {one_line(', '.join(span.truncated))}"[:SHOWN_CHARACTERS], style="yellow")
    return line


def _short(value: object) -> str:
    text = one_line(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + f"… ({len(text)} characters)"
