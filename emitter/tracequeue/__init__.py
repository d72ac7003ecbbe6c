"""Traces of bots and agents: through a Redis Stream into Postgres, with every event accounted for."""

from tracequeue.collector import TraceCollector, get_collector, init_collector
from tracequeue.context import TraceContext
from tracequeue.current import get_current_trace_id
from tracequeue.decorator import traced_span
from tracequeue.settings import EmitterSettings
from tracequeue.span import current_span, span
from tracequeue.traceparent import inject

__all__ = [
    "EmitterSettings",
    "TraceCollector",
    "TraceContext",
    "current_span",
    "get_collector",
    "get_current_trace_id",
    "init_collector",
    "inject",
    "span",
    "traced_span",
]
