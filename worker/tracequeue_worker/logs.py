"""Logging of the worker: to stderr, as text or as one JSON object a line."""

import logging
import sys
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

TEXT = "%(asctime)s %(levelname)-7s %(message)s"
FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"
NAMES = {"asctime": "time", "levelname": "level", "name": "logger"}


def set_up_logging(form: Literal["text", "json"], level: int = logging.INFO) -> None:
    """Send the log records of tracequeue to stderr. Other libraries are heard from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(FIELDS, rename_fields=NAMES) if form == "json" else logging.Formatter(TEXT))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in ("tracequeue", "tracequeue_worker"):
        logging.getLogger(name).setLevel(level)
