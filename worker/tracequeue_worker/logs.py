"""Logging of the worker: to stderr, as text or as one JSON object a line."""

import logging
import sys
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

from tracequeue_worker.printable import printable

TEXT = "%(asctime)s %(levelname)-7s %(message)s"
FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"
NAMES = {"asctime": "time", "levelname": "level", "name": "logger"}


class TextFormatter(logging.Formatter):
    """A record as text that commands no terminal and fakes no second record: an error may quote foreign text."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name is the standard library's
        return super().formatMessage(record).replace("\n", "\\n")


def set_up_logging(form: Literal["text", "json"], level: int = logging.INFO) -> None:
    """Send the log records of tracequeue to stderr. Other libraries are heard from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(FIELDS, rename_fields=NAMES) if form == "json" else TextFormatter(TEXT))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in ("tracequeue", "tracequeue_worker"):
        logging.getLogger(name).setLevel(level)
