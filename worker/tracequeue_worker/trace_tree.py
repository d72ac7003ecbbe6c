"""One trace as a tree: its spans under their parents, the words of each line, as nested JSON and as plain text."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from tracequeue.gen_ai import REQUEST_MODEL
from tracequeue_worker.printable import one_line
from tracequeue_worker.read_models import Span, Trace

SHOWN_CHARACTERS = 300
DEEPEST = 100
"""Levels of a tree. Agents stay far below; beyond, it would be drawn off the screen, and off the stack."""
WARNING, FAILURE, ASIDE, MODEL, NAME = "yellow", "red", "dim", "blue", "bold"
COLOURS = {"ok": "green", "error": FAILURE, "cancelled": WARNING, "running": "cyan", "abandoned": "magenta"}

Place: TypeAlias = tuple[str, datetime] | None
"""A span within its trace, or None for the top."""
Children: TypeAlias = Mapping[Place, Sequence[Span]]


class Words(NamedTuple):
    """A piece of a line, and how a terminal sets it off."""

    text: str
    style: str = ""


def children_of(spans: Sequence[Span]) -> Children:
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
        children[None if parent is None or is_top else place_of(parent)].append(span)
    return children


def place_of(span: Span) -> Place:
    return span.span_id, span.start_time


def trace_document(trace: Trace, spans: Sequence[Span]) -> dict[str, Any]:
    """The trace with its spans nested under `spans` and `children`."""
    children = children_of(spans)

    def nested(place: Place) -> list[dict[str, Any]]:
        return [span.model_dump(mode="json") | {"children": nested(place_of(span))} for span in children.get(place, ())]

    return trace.model_dump(mode="json") | {"spans": nested(None)}


def trace_text(trace: Trace, spans: Sequence[Span], *, with_payloads: bool = False) -> list[str]:
    """The tree as plain lines without the heading, two characters to the right for each level."""
    return list(_lines(None, children_of(spans), trace.start_time, with_payloads, ""))


def heading_words(trace: Trace) -> list[Words]:
    """What stands above the tree."""
    origin = origin_of(trace)
    person = f"  telegram {trace.telegram_id}" if trace.telegram_id is not None else ""
    words = [
        Words(one_line(trace.pipeline_name), NAME), Words(f"  {trace.trace_id}  "), state_words(trace.state),
        Words(f"  {duration(trace.duration_ms)}{person}"), Words(f"  from {origin}" if origin else "", ASIDE),
    ]  # fmt: skip
    if trace.completeness != "complete":
        words.append(Words(f"  {trace.completeness}", WARNING))
        if trace.missing:
            words.append(Words(f": {one_line(trace.missing)}", WARNING))
    return words


def origin_of(trace: Trace) -> UUID | None:
    """The trace that this one was called from."""
    found = re.match(r"[0-9a-f]{2}-([0-9a-f]{32})-", trace.parent or "")
    return UUID(found[1]) if found else None


def span_words(span: Span, start: datetime) -> list[Words]:
    """The line of a span: its name, how it ended, how long it took, and when it began after the start of the trace."""
    offset = (span.start_time - start).total_seconds() * 1000
    words = [
        Words(f"{one_line(span.span_name)}  "),
        state_words(span.status),
        Words(f"  {duration(span.duration_ms)}"),
        Words(f"  at +{offset:.1f} ms", ASIDE),
    ]
    if isinstance(span.attributes, dict) and REQUEST_MODEL in span.attributes:
        words.append(Words(f"  {one_line(span.attributes[REQUEST_MODEL])}", MODEL))
    if span.error:
        words.append(Words(f"  {shortened(span.error)}", FAILURE))
    if span.truncated:
        words.append(Words(f"  cut or redacted: {one_line(', '.join(span.truncated))}"[:SHOWN_CHARACTERS], WARNING))
    return words


def payload_words(span: Span) -> list[Words]:
    """A line each for the input and the output, where they were captured."""
    captured = (("in ", span.input_data), ("out", span.output_data))
    return [Words(f"{name} {shortened(value)}", ASIDE) for name, value in captured if value is not None]


def state_words(state: str) -> Words:
    return Words(state, COLOURS.get(state, ""))


def duration(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds / 1000:.2f} s" if milliseconds >= 1000 else f"{milliseconds:.1f} ms"


def shortened(value: object) -> str:
    """Anything as one printable line of bounded length, which says how long it was."""
    text = one_line(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + f"… ({len(text)} characters)"


def _lines(place: Place, children: Children, start: datetime, with_payloads: bool, indent: str) -> Iterator[str]:
    spans = children.get(place, ())
    for number, span in enumerate(spans, 1):
        is_last = number == len(spans)
        below = indent + ("  " if is_last else "│ ")
        yield indent + ("└ " if is_last else "├ ") + _narrow(span, start)
        if with_payloads:
            yield from (f"{below}  {words.text}" for words in payload_words(span))
        yield from _lines(place_of(span), children, start, with_payloads, below)


def _narrow(span: Span, start: datetime) -> str:
    """As `span_words`, for screens of forty characters: what went well is not said."""
    offset = (span.start_time - start).total_seconds() * 1000
    words = [one_line(span.span_name), duration(span.duration_ms), f"+{duration(offset)}"]
    words += [span.status] if span.status != "ok" else []
    if isinstance(span.attributes, dict) and REQUEST_MODEL in span.attributes:
        words.append(one_line(span.attributes[REQUEST_MODEL]))
    if span.error:
        words.append(shortened(span.error))
    return " ".join(words)


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
