"""A logging filter that puts the current trace and span into every record."""

import logging

from tracequeue.current import current
from tracequeue.span import Span


class TraceLogFilter(logging.Filter):
    """Adds `trace_id` and `span_id` to each record, `-` where there is none, and lets every record pass.

    Add it to a handler, not to a logger: a logger's filters do not see the records of its children.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        scope = current.get()
        record.trace_id = "-" if scope is None else str(scope.trace_id)
        record.span_id = scope.span_id.decode() if isinstance(scope, Span) else "-"
        return True
