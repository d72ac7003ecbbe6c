"""Long texts as messages of the reference bot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.bot.long_texts import beginning, pieces


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", []),
        ("  \n ", []),
        ("ten digits", ["ten digits"]),
        ("one two three", ["one two", "three"]),
        ("one two\nthree four", ["one two", "three four"]),
        ("abcdefghijklmno", ["abcdefghij", "klmno"]),
        ("😀😀😀😀😀😀", ["😀😀😀😀😀", "😀"]),
    ],
)
def test_it_is_cut_at_lines_and_words(text: str, cut: list[str]) -> None:
    assert pieces(text, 10) == cut


@given(text=st.text(), longest=st.integers(2, 30))
def test_nothing_visible_is_lost_and_every_piece_fits(text: str, longest: int) -> None:
    cut = pieces(text, longest)
    assert all(len(piece.encode("utf-16-le")) <= 2 * longest and piece.strip() for piece in cut)
    assert "".join("".join(cut).split()) == "".join(text.split())


def test_what_cannot_be_sent_is_a_question_mark() -> None:
    assert (beginning("a\ud83d"), pieces("a\ud83d b")) == ("a?", ["a? b"])
