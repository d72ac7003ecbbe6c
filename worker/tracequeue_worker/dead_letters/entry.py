"""A dead letter as a stream entry again: exactly what was refused, under the identity that the ledger knows it by."""

from typing import Final

import orjson

from tracequeue_worker.dead_letters.fields import HISTORY, Fields
from tracequeue_worker.dead_letters.reader import DeadLetter
from tracequeue_worker.errors import WorkerError

INCOMPLETE: Final = (
    "it does not hold all of the original, which was too large: `tracequeue dlq export` keeps what there is"
)
CONFLICT: Final = (
    "another frame is stored under its number, and would hide it: `tracequeue dlq export` keeps it, and without `src` "
    "its events can be sent as a new frame"
)
ANONYMOUS: Final = b"0"
"""The number of a frame without an emitter."""


class NotRetried(WorkerError):
    """A dead letter cannot be sent again. The text says why, and what can be done instead."""


def entry_again(letter: DeadLetter) -> Fields:
    """The fields of an entry that brings the refused event, or the refused frame as it was. Raises `NotRetried`."""
    if letter.facts.get("resendable") != "1":
        raise NotRetried(INCOMPLETE)
    if letter.reason == "seq_conflict":
        raise NotRetried(CONFLICT)
    event = _is_event(letter)
    entry = {b"body": letter.raw} | letter.fields if event else _whole(letter)
    indexes = [letter.facts["index"]] if event else True
    return _identity(letter) | entry | {b"retry": orjson.dumps(indexes), HISTORY: orjson.dumps(_history(letter))}


def _is_event(letter: DeadLetter) -> bool:
    """Whether `raw` is the line of one event: then `size` is its own, else that of the whole entry."""
    return "index" in letter.facts and letter.facts.get("size") == len(letter.raw)


def _whole(letter: DeadLetter) -> Fields:
    """The entry as it came; it may have come without a body."""
    fields = dict(letter.fields)
    size = sum(len(name) + len(value) for name, value in fields.items())
    return fields if letter.facts.get("size") == size else fields | {b"body": letter.raw}


def _identity(letter: DeadLetter) -> Fields:
    facts = letter.facts
    if "src" in facts:
        return {b"src": str(facts["src"]).encode(), b"seq": str(facts.get("seq", "")).encode()}
    if "frame" in facts:
        return {b"src": str(facts["frame"]).encode(), b"seq": ANONYMOUS}
    return {}


def _history(letter: DeadLetter) -> dict[str, int]:
    first_seen, retries = letter.facts.get("first_seen"), letter.facts.get("retries")
    return {
        "first_seen": first_seen if isinstance(first_seen, int) else 0,
        "retries": 1 + (retries if isinstance(retries, int) else 0),
    }
