"""One trace as a tree with timings, for people and as nested JSON."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from rich.text import Text
from rich.tree import Tree

from tracequeue_worker.printable import one_line
from tracequeue_worker.read_models import Span, Trace

COLOURS = {"ok": "green", "error": "red", "cancelled": "yellow", "running": "cyan", "abandoned": "magenta"}
SHOWN_CHARACTERS = 300
MODEL = "gen_ai.request.model"

Children: TypeAlias = Mapping[str | None, Sequence[Span]]


def trace_tree(trace: Trace, spans: Sequence[Span], *, with_payloads: bool = False) -> Tree:
    """The trace's steps in the order in which they started, each with its offset from the start of the trace."""
    tree = Tree(_heading(trace))
    _add(tree, None, _by_parent(spans), trace.start_time, with_payloads)
    return tree


def trace_document(trace: Trace, spans: Sequence[Span]) -> dict[str, Any]:
    """The trace with its spans nested under `spans` and `children`."""
    children = _by_parent(spans)

    def nested(parent: str | None) -> list[dict[str, Any]]:
        return [span.model_dump(mode="json") | {"children": nested(span.span_id)} for span in children.get(parent, ())]

    return trace.model_dump(mode="json") | {"spans": nested(None)}


def status_text(state: str) -> Text:
    return Text(state, style=COLOURS.get(state, ""))


def duration(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds / 1000:.2f} s" if milliseconds >= 1000 else f"{milliseconds:.1f} ms"


def _by_parent(spans: Sequence[Span]) -> Children:
    """Spans under their parents; one whose parent is not stored, or its own ancestor, stands at the top."""
    known = {span.span_id: span.parent_span_id for span in spans}
    children: defaultdict[str | None, list[Span]] = defaultdict(list)
    for span in spans:
        children[span.parent_span_id if _reaches_top(span, known) else None].append(span)
    return children


def _reaches_top(span: Span, parents: Mapping[str, str | None]) -> bool:
    if span.parent_span_id not in parents:
        return False
    seen = {span.span_id}
    parent: str | None = span.parent_span_id
    while parent is not None and parent in parents:
        if parent in seen:
            return False
        seen.add(parent)
        parent = parents[parent]
    return True


def _add(tree: Tree, parent: str | None, children: Children, start: datetime, with_payloads: bool) -> None:
    for span in children.get(parent, ()):
        branch = tree.add(_line(span, start))
        if with_payloads:
            for name, value in (("in ", span.input_data), ("out", span.output_data)):
                if value is not None:
                    branch.add(Text(f"{name} {_short(value)}", style="dim"))
        _add(branch, span.span_id, children, start, with_payloads)


def _heading(trace: Trace) -> Text:
    person = f"  telegram {trace.telegram_id}" if trace.telegram_id is not None else ""
    heading = Text.assemble(
        (one_line(trace.pipeline_name), "bold"), f"  {trace.trace_id}  ", status_text(trace.state),
        f"  {duration(trace.duration_ms)}{person}", (_origin(trace), "dim"),
    )  # fmt: skip
    if trace.completeness != "complete":
        heading.append(f"  {trace.completeness}" + (f": {trace.missing}" if trace.missing else ""), style="yellow")
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
    if isinstance(span.attributes, dict) and MODEL in span.attributes:
        line.append(f"  {one_line(span.attributes[MODEL])}", style="blue")
    if span.error:
        line.append(f"  {_short(span.error)}", style="red")
    if span.truncated:
        line.append(f"  cut or redacted: {one_line(', '.join(span.truncated))}"[:SHOWN_CHARACTERS], style="yellow")
    return line


def _short(value: object) -> str:
    text = one_line(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + f"… ({len(text)} characters)"
