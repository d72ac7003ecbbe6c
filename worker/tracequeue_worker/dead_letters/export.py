"""A dead letter as one line of JSON that says everything: the original whole, whatever its bytes are."""

import base64
import json
from typing import Any

from tracequeue_worker.dead_letters.reader import DeadLetter

FORMAT = "tracequeue dead letter, version 1"


def exported(letter: DeadLetter) -> str:
    """The line, ASCII only. Bytes are a text where they are UTF-8, else `{"base64": ...}`.

    `raw` and `fields` are the original, secrets included; `text` is `raw` decompressed, where it is compressed.
    """
    document: dict[str, Any] = {
        "format": FORMAT,
        "id": letter.id,
        "partition": letter.partition,
        **letter.facts,
        "raw": _value(letter.raw),
        "fields": [[_value(name), _value(value)] for name, value in letter.fields.items()],
    }
    if letter.fields.get(b"enc", b"json") != b"json":
        document["text"] = letter.content()
    return json.dumps(document)


def _value(content: bytes) -> str | dict[str, str]:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
