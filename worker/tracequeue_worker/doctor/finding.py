"""What one check found."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warn", "fail"]
Subject = Literal["redis", "postgres", "here"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`ok`; `warn`: it works, and something may be lost or slow later; `fail`: it does not work, or it loses.

    `cure` is empty where nothing needs one.
    """

    subject: Subject
    check: str
    verdict: Verdict
    found: str
    cure: str = ""


def clock(subject: Subject, offset: float) -> Finding:
    """Of a server's clock, so many seconds ahead of ours: ages are told by its, what lies in the future by ours."""
    if abs(offset) < 1:
        return Finding(subject, "clock", "ok", "agrees with the clock here")
    found = f"{abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} the clock here"
    return Finding(subject, "clock", "warn" if abs(offset) < 60 else "fail", found, "let all machines use NTP")


def size(number: float) -> str:
    """So many bytes, for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
