"""Foreign text to be shown, without the secrets in it: by their form, and in JSON also by the key they stand under."""

import json
import re
from typing import Any

import orjson

from tracequeue.redaction.secrets import REDACTED, hide, is_secret

MEMBER = re.compile(r'"([^"\\]{1,200})"(\s*:\s*)"((?:[^"\\]|\\.)*)(?:"|\Z)')
"""A member of an object in text that is no JSON as a whole, such as a line that was cut."""


def without_secrets(text: str) -> str:
    """The text, line by line; a line with nothing to hide stays as it is."""
    return "\n".join(map(_line, text.split("\n")))


def _line(line: str) -> str:
    try:
        value = orjson.loads(line)
        hidden = _value(value)
        return line if hidden == value else json.dumps(hidden, ensure_ascii=False)
    except (orjson.JSONDecodeError, RecursionError):
        return hide(MEMBER.sub(_member, line))[0]


def _member(found: re.Match[str]) -> str:
    key, between, value = found.groups()
    return f'"{key}"{between}"{REDACTED}"' if is_secret(key, value) else found[0]


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return hide(value)[0]
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, dict):
        return {hide(key)[0]: REDACTED if is_secret(key, item) else _value(item) for key, item in value.items()}
    return value
