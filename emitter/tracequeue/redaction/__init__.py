"""Secrets are hidden in a frame before it leaves the process, in the publisher's thread."""

from tracequeue.redaction.body import redact

__all__ = ["redact"]
