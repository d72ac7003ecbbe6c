"""How traces and figures look in a line: marks, times, amounts."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from tracequeue_worker.read_models import Trace
from tracequeue_worker.telegram.lines import Line, bold, code, command, line
from tracequeue_worker.trace_tree import duration

MARKS: Final = {"ok": "✅", "error": "❌", "cancelled": "⏹", "running": "⏳", "abandoned": "💤"}


def mark(state: str) -> str:
    return MARKS.get(state, "❔")


def clock(moment: datetime) -> str:
    """To the second, in UTC, which the heading says."""
    return f"{moment:%m-%d %H:%M:%S}"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def people_counted(number: int) -> str:
    return "1 person" if number == 1 else f"{number:,} people"


def trace_command(trace: Trace) -> str:
    """Opens the trace when it is tapped."""
    return f"/trace_{trace.trace_id.hex}"


def trace_lines(trace: Trace) -> Iterator[Line]:
    """A trace in a list: what it was, where it is found, and why it failed."""
    facts = [clock(trace.start_time), duration(trace.duration_ms), counted(trace.stored_spans, "span")]
    if trace.telegram_id is not None:
        facts.append(f"id={trace.telegram_id}")
    if trace.completeness != "complete":
        facts.append(trace.completeness)
    yield line(mark(trace.state), " ", code(trace.pipeline_name, 60), f" {' · '.join(facts)}")
    yield line(command(trace_command(trace)))
    if trace.error:
        yield line(code(trace.error))


def heading(title: str, asked: str = "") -> Line:
    """What an answer begins with; what was asked for stands behind a colon."""
    return line(bold(title), f": {asked}" if asked else "")
