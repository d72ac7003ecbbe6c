"""Any Python value, text or error -> bounded JSON or text that Postgres takes. Nothing in here raises into the bot."""

from tracequeue.encoding.encoder import encode, encode_bounded
from tracequeue.encoding.notes import Notes
from tracequeue.encoding.text import clean_text, error_text, stacktrace_text

__all__ = ["Notes", "clean_text", "encode", "encode_bounded", "error_text", "stacktrace_text"]
