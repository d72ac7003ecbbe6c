"""Foreign text made fit for a terminal or a log: what a producer sent must not command either, nor disguise itself."""

import json
import re

UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, all but tab and newline: ANSI and OSC sequences begin with one
    r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # bidi marks, overrides and isolates; separators of lines
    r"\xad\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff"  # invisible
    r"\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e007f"  # tags
    r"\ud800-\udfff]"  # lone surrogates, which cannot be printed at all
)
"""The joiners U+200C and U+200D stay: Persian words and many emoji need them."""


def printable(text: str) -> str:
    """The text with what a terminal would obey, hide or turn around made visible. Tabs and newlines stay."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(value: object) -> str:
    """Anything as one printable line."""
    return printable(" ".join(str(value).split()))


def json_text(value: object) -> str:
    """The value as JSON of the same content, and fit for a terminal: JSON itself escapes only what is below U+0020."""
    document = json.dumps(value, ensure_ascii=False, default=str)
    return UNPRINTABLE.sub(lambda found: json.dumps(found[0])[1:-1], document)
