"""What was cut, replaced or redacted in an event: path -> what and how much. It becomes the span's `truncated`."""

from typing import Any, Final, TypeAlias

from tracequeue.encoding.text import clean_text

Notes: TypeAlias = dict[str, Any]
"""For example `{"input_data.text": {"characters_cut": 9934464}}`."""

MAX_NOTES: Final = 32
MAX_PATH_CHARS: Final = 200
MAX_KEY_CHARS: Final = 60
UNLISTED: Final = "(unlisted)"
"""The path under which notes beyond `MAX_NOTES` are only counted."""


def child(path: str, key: str) -> str:
    """The path of a member. Paths are for people: long keys are shortened."""
    return f"{path}.{clean_text(key, MAX_KEY_CHARS)}"


def note(notes: Notes, path: str, what: str, how_much: int | str) -> None:
    """Add one fact about a path; several about one path stand side by side."""
    path = clean_text(path, MAX_PATH_CHARS)
    facts = notes.get(path)
    if facts is None:
        if len(notes) >= MAX_NOTES:
            notes[UNLISTED] = notes.get(UNLISTED, 0) + 1
            return
        facts = notes[path] = {}
    facts[what] = how_much


def merge(notes: Notes, more: Notes) -> None:
    """Add all of `more`, within the bound."""
    for path, facts in more.items():
        if path == UNLISTED:
            notes[UNLISTED] = notes.get(UNLISTED, 0) + facts
        else:
            for what, how_much in facts.items():
                note(notes, path, what, how_much)
