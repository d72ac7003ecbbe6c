"""What stands behind a command: a pipeline, `failed`, a period and a person, in any order."""

import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from tracequeue.events import INT64
from tracequeue_worker.bounds import is_relative, moment
from tracequeue_worker.printable import UNPRINTABLE, one_line

LONGEST_NAME = 200
DAY = "1d"
PERSON = re.compile(r"(?:@|id=)(-?\d{1,19})")
PIPELINE = "pipeline="
"""Before a name that would mean something else."""
AMBIGUOUS = re.compile(r"failed|@.*|id=.*|pipeline=.*|-?\d.*", re.DOTALL | re.IGNORECASE)
KINDS: Final = {"pipeline": "a pipeline", "failed": "`failed`", "period": "a period like 2h or 7d", "person": "id=42"}


class WrongArgument(Exception):
    """The text says which word is wrong, and what would be right."""


@dataclass(frozen=True, slots=True)
class Question:
    """What of all traces is asked for."""

    pipeline: str | None = None
    failed: bool = False
    period: str | None = None
    """Like 2h: the time until now."""
    telegram_id: int | None = None

    @property
    def since(self) -> datetime | None:
        return None if self.period is None else moment(self.period)

    @property
    def text(self) -> str:
        """As it may be typed: `parsed` makes the same of it."""
        name = self.pipeline
        words = [] if name is None else [shlex.quote(f"{PIPELINE}{name}" if AMBIGUOUS.fullmatch(name) else name)]
        words += ["failed"] if self.failed else []
        words += [self.period] if self.period else []
        return " ".join([*words, f"id={self.telegram_id}"] if self.telegram_id is not None else words)


def parsed(text: str | None, *, takes: Collection[str] = KINDS) -> Question:
    """The question of these words. Raises `WrongArgument`."""
    facts: dict[str, Any] = {}
    for word in _words(text or ""):
        kind, value = _understood(word)
        if kind not in takes:
            raise WrongArgument(f"{one_line(word)}: this command takes {_either(takes)}")
        if kind in facts:
            raise WrongArgument(f"{one_line(word)}: one of the kind is enough: {KINDS[kind]}")
        facts[kind] = value
    return Question(facts.get("pipeline"), "failed" in facts, facts.get("period"), facts.get("person"))


def recent(text: str | None, *, takes: Collection[str]) -> tuple[Question, datetime]:
    """A question with a period, which is the last day unless the words name one, and when it begins."""
    question = parsed(text, takes=takes)
    question = question if question.period else replace(question, period=DAY)
    return question, moment(question.period or DAY)


def _words(text: str) -> list[str]:
    if "\n" in text or UNPRINTABLE.search(text):
        raise WrongArgument("there is a character in it that cannot be seen, or a line break: type it again")
    try:
        return shlex.split(text)
    except ValueError:
        raise WrongArgument("a quotation mark is missing: a name with spaces stands between two of them") from None


def _understood(word: str) -> tuple[str, str | int | bool]:
    """Which kind of word it is, and what it says."""
    if word.lower() == "failed":
        return "failed", True
    if is_relative(word.lower()):
        return "period", _checked_period(word.lower())
    if person := PERSON.fullmatch(word):
        return "person", _checked_person(word, int(person[1]))
    name = word.removeprefix(PIPELINE)
    if name == word and AMBIGUOUS.fullmatch(word):
        raise WrongArgument(_not_understood(word))
    if not 0 < len(name) <= LONGEST_NAME:
        raise WrongArgument(f"a pipeline has a name of 1 to {LONGEST_NAME} characters")
    return "pipeline", name


def _not_understood(word: str) -> str:
    shown = one_line(word)
    if word.startswith(("@", "id=")):
        return f"{shown}: a person is a number here, such as id=42: traces know no user names"
    return f"{shown} is neither a period like 2h or 7d nor a person like id=42; is it a pipeline? {PIPELINE}{shown}"


def _checked_period(word: str) -> str:
    try:
        moment(word)
    except ValueError:
        raise WrongArgument(f"{word}: that is too long ago") from None
    if not int(word[:-1]):
        raise WrongArgument(f"{word}: that is no time at all")
    return word


def _checked_person(word: str, telegram_id: int) -> int:
    if not -INT64 <= telegram_id < INT64:
        raise WrongArgument(f"{one_line(word)}: no Telegram id is so large")
    return telegram_id


def _either(takes: Collection[str]) -> str:
    words = [text for kind, text in KINDS.items() if kind in takes]
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words) or "nothing behind it"
