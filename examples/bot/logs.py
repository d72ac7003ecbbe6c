"""Logging of the bot: to stderr, each record with the trace that it belongs to."""

import logging

from tracequeue.log_filter import TraceLogFilter

FORM = "%(asctime)s %(levelname)-7s %(trace_id)s %(name)s: %(message)s"


def set_up_logging() -> None:
    """The bot is heard from INFO on, libraries from WARNING on."""
    handler = logging.StreamHandler()
    handler.addFilter(TraceLogFilter())
    logging.basicConfig(level=logging.WARNING, format=FORM, handlers=[handler])
    for name in ("examples.bot", "aiogram.dispatcher"):
        logging.getLogger(name).setLevel(logging.INFO)
