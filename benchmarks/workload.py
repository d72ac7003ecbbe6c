"""Spans as agents make them: texts of the standard library's documentation, so that nothing repeats."""

import inspect
import random
from functools import cache
from importlib import import_module
from time import time_ns
from typing import Any, TypeAlias

from tracequeue.ids import new_span_id, new_trace_id

Event: TypeAlias = dict[str, Any]
SPANS_OF_A_TRACE = 10

MODULES = (
    *("asyncio", "argparse", "collections", "concurrent.futures", "contextlib", "csv", "dataclasses", "datetime"),
    *(
        "decimal",
        "difflib",
        "email.message",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "html",
        "http.client",
    ),
    *("imaplib", "inspect", "io", "itertools", "json", "logging", "mailbox", "os", "pathlib", "pickle", "random", "re"),
    *("shutil", "smtplib", "socket", "sqlite3", "ssl", "statistics", "string", "subprocess", "tarfile", "tempfile"),
    *("textwrap", "threading", "timeit", "traceback", "types", "unittest", "urllib.parse", "uuid", "zipfile"),
)


@cache
def words() -> list[str]:
    """A hundred thousand words of prose, in their order; what many members say, each constant for one, comes once."""
    members = [member for name in MODULES for _, member in inspect.getmembers(import_module(name))]
    inside = [part for member in members if inspect.isclass(member) for _, part in inspect.getmembers(member)]
    texts = dict.fromkeys(inspect.getdoc(member) or "" for member in (*members, *inside))
    return " ".join(texts).split()


def passage(chance: random.Random, length: int) -> str:
    """Words that stand together somewhere."""
    prose = words()
    start = chance.randrange(len(prose) - length)
    return " ".join(prose[start : start + length])


def span(chance: random.Random, trace_id: str) -> dict[str, object]:
    """An agent's step with about 250 bytes of input and 430 of output."""
    start = time_ns() // 1000
    return {
        "type": "span", "trace_id": trace_id, "span_id": new_span_id().decode(), "span_name": "agent:trainer",
        "kind": "agent", "start_time": start, "end_time": start + 1500, "duration_ms": 1.5, "status": "ok",
        "success": True, "input_data": {"text": passage(chance, 35), "user": "alice", "tries": chance.randrange(9)},
        "output_data": {"plan": passage(chance, 65)},
    }  # fmt: skip


def traces(count: int) -> list[Event]:
    """So many spans, ten a trace: a step and nine inside it."""
    chance, made = random.Random(1), []
    for _ in range(0, count, SPANS_OF_A_TRACE):
        trace_id = str(new_trace_id())
        outer, *inner = (span(chance, trace_id) for _ in range(SPANS_OF_A_TRACE))
        made += [outer, *(event | {"parent_span_id": outer["span_id"]} for event in inner)]
    return made
