"""Lines become messages that Telegram takes: short enough, every tag closed, nothing lost."""

import asyncpg
import redis.exceptions
from hypothesis import given
from hypothesis import strategies as st

from examples.bot.stand_ins.telegram.entities import parsed_html
from tracequeue_worker.errors import Fatal
from tracequeue_worker.telegram.lines import MESSAGE_UNITS, Line, Piece, bold, code, line, messages, mono, units
from tracequeue_worker.telegram.outages import outage

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300) | st.sampled_from(
    ["</pre>", "<b>", "&amp;", "x" * 5000, "😀" * 3000, "<" * 4096]
)
lines = st.one_of(
    st.builds(lambda text: line("say ", bold("it"), " ", code(text, 6000)), words),
    st.builds(mono, words.map(lambda text: f"│ {text}")),
    st.builds(lambda text: Line((Piece("- "), Piece(text.replace("\n", " "), "code"))), words),
)


def visible(text: str) -> str:
    """Without white space, which Telegram takes away around a message."""
    return "".join(text.split())


@given(st.lists(lines, min_size=1, max_size=30))
def test_messages_are_short_enough_and_hold_everything(some: list[Line]) -> None:
    sent = [parsed_html(text) for text in messages(some)]
    assert all(0 < units(one.text) <= MESSAGE_UNITS for one in sent)
    assert visible("".join(one.text for one in sent)) == visible("".join(one.text for one in some))


@given(st.lists(st.sampled_from([line("x" * 90), mono("│ " + "y" * 90)]), min_size=1, max_size=200))
def test_they_are_divided_between_lines(some: list[Line]) -> None:
    found = [row for text in messages(some) for row in parsed_html(text).text.split("\n")]
    assert found == [one.text for one in some]


def test_neighbours_share_a_block() -> None:
    assert messages([line("a"), mono("<1>"), mono("2"), line("b")]) == ["a\n<pre>&lt;1&gt;\n2</pre>\nb"]


def test_what_somebody_else_wrote_is_one_line_of_text() -> None:
    assert code("a\n<b> \x1b c").html == "<code>a &lt;b&gt; \\x1b c</code>"
    assert code("x" * 500, 10).text == "x" * 10 + "…"


def test_outages_say_whose_they_are_and_what_to_do() -> None:
    assert outage(asyncpg.QueryCanceledError("canceling statement")).endswith("a shorter period or one pipeline")
    assert outage(asyncpg.InsufficientPrivilegeError("no")).startswith("PostgreSQL: no")
    assert "check the user and the password" in outage(redis.exceptions.AuthenticationError("WRONGPASS"))
    assert outage(Fatal("run\nthis")) == "run this"
    assert "frozen or busy" in outage(TimeoutError())
    secret = outage(OSError("cannot reach postgresql://ada:hush-hush@db/x"))
    assert "hush-hush" not in secret
