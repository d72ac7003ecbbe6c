"""Presses of inline buttons, and the bot's answers to them."""

import itertools
from dataclasses import dataclass
from typing import Final

from examples.bot.stand_ins.telegram.changes import Changes
from examples.bot.stand_ins.telegram.refusals import bad_request

LONGEST_ANSWER: Final = 200


@dataclass(slots=True)
class Press:
    """One press. The first answer is the one that the person sees."""

    id: str
    answered: bool = False
    text: str | None = None
    alert: bool = False
    """Whether the text is shown in a window that must be closed, not for a moment."""


class Callbacks:
    """The presses that may still be answered."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._presses: dict[str, Press] = {}
        self._ids = itertools.count(4_000_000_001)

    def open(self) -> Press:
        press = Press(str(next(self._ids)))
        self._presses[press.id] = press
        return press

    def answer(self, press_id: str, text: str, alert: bool) -> None:
        """Raises `Refusal` for a press that is unknown or too old."""
        press = self._presses.get(press_id)
        if press is None:
            raise bad_request("query is too old and response timeout expired or query ID is invalid")
        if len(text) > LONGEST_ANSWER:
            raise bad_request("MESSAGE_TOO_LONG")
        if not press.answered:
            press.answered, press.text, press.alert = True, text or None, alert
            self._changes.announce()

    def expire(self) -> None:
        """From now on all presses so far are too old to be answered."""
        self._presses.clear()
