"""Entries and what they must become, as files: the wire format for whoever writes an emitter in another language.

`entry` holds the fields as text, or as {"base64": ...} where they are not text. `expected` holds the frame's identity,
its rows without the columns that are null, and its dead letters, each with the reason and what of the entry it keeps.
"""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.frames import entry
from tracequeue.keys import events_key
from tracequeue_worker.dead_letters.fields import dead_letters
from tracequeue_worker.decoder import Decoder, TimeWindow
from tracequeue_worker.records import Entry, SpanRow, TraceRow
from tracequeue_worker.settings import WorkerSettings

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.json"))
JSON_COLUMNS = {"input_data", "output_data", "attributes", "truncated", "dropped", "metadata"}
KEPT = ("reason", "index", "raw", "size", "resendable", "src", "seq")
DECODER = Decoder(TimeWindow.of(WorkerSettings()))


def entry_of(vector: dict[str, Any]) -> Entry:
    fields = {
        name.encode(): base64.b64decode(value["base64"]) if isinstance(value, dict) else value.encode()
        for name, value in vector["entry"].items()
    }
    return entry(fields, b"1767225600000-0", events_key("tracequeue", 0).encode())


def outcome(received: Entry) -> dict[str, Any]:
    """What a worker makes of an entry, as JSON."""
    frame = DECODER.decode(received)
    return {
        "emitter_id": frame.emitter_id.hex,
        "anonymous": frame.anonymous,
        "seq": frame.seq,
        "digest": frame.digest.hex(),
        "events": frame.events,
        "account": {"emitted": frame.account.emitted, "lost": frame.account.lost} if frame.account else None,
        "meta": frame.meta,
        "retry": sorted(frame.retry),
        "spans": [_columns(row) for row in frame.spans],
        "traces": [_columns(row) for row in frame.traces],
        "dead_letters": [_kept(letter) for letter in dead_letters(frame, frame.rejections, "w")],
    }


def _columns(row: SpanRow | TraceRow) -> dict[str, Any]:
    given = {name: value for name, value in row._asdict().items() if value is not None}
    return {name: json.loads(value) if name in JSON_COLUMNS else value for name, value in given.items()}


def _kept(letter: dict[bytes, bytes]) -> dict[str, Any]:
    text = {name.decode(): value for name, value in letter.items()}
    return {name: _text(value) for name, value in sorted(text.items()) if name in KEPT or name.startswith("field:")}


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = json.loads(path.read_text(encoding="utf-8"))
    assert outcome(entry_of(vector)) == vector["expected"]


def test_there_are_vectors_of_every_kind() -> None:
    vectors = [json.loads(path.read_text(encoding="utf-8")) for path in VECTORS]
    reasons = {letter["reason"] for vector in vectors for letter in vector["expected"]["dead_letters"]}
    assert reasons == {"schema", "undecodable", "count", "time_range", "encoding", "unknown_version"}
    types = {kind for vector in vectors for kind in ("spans", "traces") if vector["expected"][kind]}
    assert types == {"spans", "traces"}
