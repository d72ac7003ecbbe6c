"""What errors have in common: their texts without names and numbers, alike in Python and in SQL."""

import re
from typing import Final

VARYING: Final = re.compile(r"""'[^']*'|"[^"]*"|\b[0-9a-fA-F]{8}[0-9a-fA-F-]*\b|\d+(?:\.\d+)?""")
VARYING_IN_SQL: Final = VARYING.pattern.replace(r"\b", r"\y")
"""For `regexp_replace` of Postgres, which calls the edge of a word so."""


def pattern_of(error: str) -> str:
    """An error as it stands for others that are like it."""
    return VARYING.sub("…", error)
