"""A long text as several messages: Telegram takes 4,096 UTF-16 units each (https://core.telegram.org/bots/api#sendmessage)."""

from typing import Final

LONGEST: Final = 4096
UNIT = 2
"""Bytes."""


def pieces(text: str, longest: int = LONGEST) -> list[str]:
    """The text in pieces of at most so many units each, cut at the end of a line or of a word where there is one."""
    cut: list[str] = []
    rest = text.strip()
    while rest:
        head = beginning(rest, longest)
        if len(head) < len(rest):
            head = head[: max(head.rfind("\n"), 0) or max(head.rfind(" "), 0) or len(head)]
        cut.append(head)
        rest = rest[len(head) :].strip()
    return cut


def beginning(text: str, longest: int = LONGEST) -> str:
    """As much of the text as fits. What UTF-16 cannot hold becomes a question mark."""
    units = text.encode("utf-16-le", "replace")
    return units[: longest * UNIT].decode("utf-16-le", "ignore")
