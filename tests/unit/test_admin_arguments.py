"""What stands behind an admin command is understood in any order, and written so that it is understood again."""

import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracequeue.events import INT64
from tracequeue_worker.printable import UNPRINTABLE
from tracequeue_worker.telegram.arguments import LONGEST_NAME, Question, WrongArgument, parsed, recent
from tracequeue_worker.telegram.commands.dlq import Ask
from tracequeue_worker.telegram.commands.trace import Payloads
from tracequeue_worker.telegram.commands.traces import LATEST, Turn

names = (
    st.text(min_size=1, max_size=LONGEST_NAME)
    | st.text("@id=-42'\"\\ pipeline=failedh", min_size=1, max_size=30)
    | st.sampled_from(["failed", "2h", "@5", "id=5", "pipeline=", "-1", "42", "it's", '"', "\\"])
).filter(lambda name: not UNPRINTABLE.search(name))

questions = st.builds(
    Question,
    pipeline=st.none() | names,
    failed=st.booleans(),
    period=st.none() | st.from_regex(r"[1-9][0-9]{0,2}[smhdw]", fullmatch=True),
    telegram_id=st.none() | st.integers(-INT64, INT64 - 1),
)


@given(questions)
def test_what_is_written_is_understood_again(question: Question) -> None:
    assert parsed(question.text) == question


def test_any_order() -> None:
    expected = Question("learn", True, "2h", 42)
    for words in itertools.permutations(["learn", "failed", "2h", "@42"]):
        assert parsed(" ".join(words)) == expected


@given(st.text(max_size=60))
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    said = ""
    try:
        assert parsed(parsed(text).text) == parsed(text)
    except WrongArgument as error:
        said = str(error)
    assert "\n" not in said


def test_the_last_day_unless_another_period_is_named() -> None:
    now = datetime.now(UTC)
    for text, period in ((None, timedelta(days=1)), ("2h", timedelta(hours=2))):
        _, since = recent(text, takes=["period"])
        assert abs(now - period - since) < timedelta(minutes=1)


@pytest.mark.parametrize("takes", [["period"], ["pipeline", "period"], []])
def test_what_a_command_does_not_take(takes: list[str]) -> None:
    with pytest.raises(WrongArgument, match="this command takes"):
        parsed("failed", takes=takes)


def test_buttons_carry_no_more_than_telegram_allows() -> None:
    for data in (
        Turn(to="older", start=LATEST, trace_id=UUID(int=2**128 - 1)),
        Payloads(trace_id=UUID(int=2**128 - 1)),
        Ask(wish="retry", group="0" * 8),
    ):
        assert len(data.pack().encode()) <= 64
        assert type(data).unpack(data.pack()) == data


@given(st.integers(0, LATEST), st.uuids())
def test_a_button_knows_exactly_where_its_page_ends(start: int, trace_id: UUID) -> None:
    moment, same = Turn.unpack(Turn(to="newer", start=start, trace_id=trace_id).pack()).cursor
    assert (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == start
    assert same == trace_id
