"""What is printed commands no terminal, and is the same text or the same JSON."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracequeue_worker.printable import json_text, one_line, printable

HOSTILE = {
    "colour": "\x1b[31mred",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;https://example.org\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "8 bit": "\x9b31mred\x9d52;c;x\x9c",
    "overwrite": "harmless\rharmful\x08\x7f",
    "bidi": "user\u202egnp.exe\u2066\u2069\u200f\u061c",
    "invisible": "ad\u200bmin\u2060\ufeff\U000e0041\xad",
    "lines": "one\u2028two\u2029three\x85four\x0b\x0c",
    "surrogate": "\udc9b31m",
}
ALLOWED = {"\t", "\n", "\u200c", "\u200d"}
HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def harmful(text: str) -> list[str]:
    return [character for character in text if unicodedata.category(character) in HARMFUL and character not in ALLOWED]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert harmful(text)
    assert not harmful(printable(text))
    assert not harmful(one_line(text))
    assert "\n" not in one_line(text + "\n" + text)
    assert not harmful(json_text({text: [text]}))
    assert json.loads(json_text({text: [text]})) == {text: [text]}


@pytest.mark.parametrize(
    "text",
    [
        "Привет, мир",
        "你好\u3000世界",
        "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "👩\u200d👩\u200d👧 🇩🇪",
        "a\tb\nc",
        "[red]x[/red]",
    ],
)
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text
    assert json.loads(json_text(text)) == text


def test_every_character_that_does_harm() -> None:
    assert not harmful(printable("".join(map(chr, range(0x110000)))))


@given(st.text(st.characters(exclude_categories=["Cn", "Co"])))
def test_any_text(text: str) -> None:
    assert not harmful(printable(text))
    assert not harmful(json_text(text))
    assert json.loads(json_text(text)) == text
    printable(text).encode()
