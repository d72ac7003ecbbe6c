"""When an alert is told: once at its beginning, again when it is worse, once when it is over."""

from datetime import UTC, datetime, timedelta

import pytest

from tracequeue_worker.alerts.findings import Finding, Sight, State
from tracequeue_worker.alerts.memory import Memory, note_told, take_in, to_tell
from tracequeue_worker.alerts.rules import AlertRules

START = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULES = AlertRules(calm=5 * MINUTE, reminder=timedelta(hours=6))


def finding(state: State, weight: float = 1.0, kinds: str = "", worse_from: float | None = None) -> Finding:
    return Finding("a", state, "A", f"{state} {weight}", weight, worse_from, frozenset(kinds))


class Chat:
    """A memory with a look a minute. Each look says what was told: `heard` or `deaf` is whether it arrived."""

    def __init__(self, rules: AlertRules = RULES) -> None:
        self.memory = Memory()
        self.now = START
        self.rules = rules
        self.last = ""

    def look(
        self, *findings: Finding, blind: tuple[str, ...] = (), deaf: bool = False, after: timedelta = MINUTE
    ) -> str:
        self.now += after
        self.memory = Memory.model_validate_json(self.memory.model_dump_json())
        take_in(self.memory, Sight(findings, blind), self.rules, self.now)
        notices = to_tell(self.memory, self.rules, self.now)
        if not deaf:
            for notice in notices:
                note_told(self.memory, notice, self.now)
        self.last = "\n".join(notice.html for notice in notices)
        return " ".join(notice.kind for notice in notices)

    def looks(self, *states: State) -> list[str]:
        return [self.look(finding(state)) for state in states]


def test_what_lasts_is_told_once() -> None:
    assert Chat().looks("wrong", "wrong", "wrong") == ["begins", "", ""]


def test_what_is_over_is_told_once_it_has_been_calm_for_long() -> None:
    chat = Chat()
    assert chat.looks("wrong", *["well"] * 7) == ["begins", "", "", "", "", "", "over", ""]
    assert chat.memory.episodes == {}
    assert chat.looks("wrong") == ["begins"]


def test_the_message_that_it_is_over_says_how_long_it_was_wrong_and_what_is_seen_now() -> None:
    chat = Chat()
    chat.looks("wrong", "wrong", *["well"] * 6)
    assert chat.last == "🟢 Over after 2 min: <b>A</b>\nwell 1.0"


def test_what_comes_and_goes_is_one_alert() -> None:
    assert set(Chat().looks("wrong", *["well", "well", "wrong", "well", "undecided"] * 5)[1:]) == {""}


def test_between_the_limits_nothing_begins_and_nothing_ends() -> None:
    assert Chat().looks(*["undecided"] * 9) == [""] * 9
    assert Chat().looks("wrong", *["undecided"] * 9) == ["begins", *[""] * 9]


def test_calm_must_be_without_a_gap() -> None:
    assert Chat().looks("wrong", *["well"] * 5, "undecided", *["well"] * 5) == ["begins", *[""] * 11]


def test_what_cannot_be_seen_does_not_end() -> None:
    chat = Chat()
    chat.looks("wrong")
    assert [chat.look(blind=("a",)) for _ in range(9)] == [""] * 9
    assert [chat.look() for _ in range(6)] == [*[""] * 5, "over"]


def test_markedly_worse_is_told_by_what_it_was_when_it_was_told() -> None:
    chat = Chat()
    weights = [(0.25, 0.5), (0.4, 0.8), (0.5, 1.0), (0.9, 1.8), (1.0, 2.0), (1.0, 2.0)]
    told = [chat.look(finding("wrong", weight, worse_from=worse_from)) for weight, worse_from in weights]
    assert told == ["begins", "", "worse", "", "worse", ""]


def test_a_new_kind_is_worse_and_one_that_is_gone_is_not() -> None:
    chat = Chat()
    assert [chat.look(finding("wrong", kinds=kinds)) for kinds in ("x", "x", "xy", "xy", "y")] == [
        "begins",
        "",
        "worse",
        "",
        "",
    ]


def test_a_reminder_comes_after_long_and_then_again() -> None:
    chat = Chat()
    told = [chat.look(finding("wrong"), after=timedelta(hours=2)) for _ in range(8)]
    assert told == ["begins", "", "", "lasts", "", "", "lasts", ""]


def test_without_a_reminder_none_comes() -> None:
    chat = Chat(AlertRules(reminder=None))
    assert [chat.look(finding("wrong"), after=timedelta(days=30)) for _ in range(3)] == ["begins", "", ""]


def test_what_does_not_arrive_is_told_again_as_it_then_is() -> None:
    chat = Chat()
    assert chat.look(finding("wrong", 1.0), deaf=True) == "begins"
    assert chat.look(finding("wrong", 2.0)) == "begins"
    assert chat.last == "🔴 <b>A</b>, for 1 min\nwrong 2.0"
    assert chat.look(finding("wrong", 2.0)) == ""


def test_what_is_over_before_it_could_be_told_is_told_as_that() -> None:
    chat = Chat()
    chat.look(finding("wrong", 3.0), deaf=True)
    assert [chat.look(finding("well")) for _ in range(6)] == [*[""] * 5, "passed"]
    assert "from 2026-11-28 12:01 UTC for 1 min\nwrong 3.0" in chat.last
    assert chat.look(finding("well")) == ""


def test_what_begins_again_before_its_end_could_be_told_goes_on() -> None:
    chat = Chat()
    chat.look(finding("wrong"))
    for _ in range(9):
        chat.look(finding("well"), deaf=True)
    assert chat.looks("wrong", "wrong") == ["", ""]


def test_several_alerts_do_not_hide_each_other() -> None:
    chat = Chat()
    other = Finding("b", "wrong", "B", "b")
    assert chat.look(finding("wrong"), other) == "begins begins"
    assert [chat.look(other) for _ in range(6)][-1] == "over"
    assert list(chat.memory.episodes) == ["b"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_share": 0.0}, {"failure_share": 20}, {"failure_ended": 0}, {"stale_regular": 0},
        {"stale": {"learn": timedelta(0)}}, {"failure_window": timedelta(0)}, {"calm": -MINUTE},
        {"reminder": timedelta(0)},
    ],
)  # fmt: skip
def test_rules_that_make_no_sense_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="learn" if "stale" in wrong else next(iter(wrong))):
        AlertRules(**wrong)  # type: ignore[arg-type]
