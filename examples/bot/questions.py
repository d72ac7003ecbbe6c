"""Questions that can be asked again: the last thousand, in memory, under keys that fit into a button."""

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

KEPT = 1_000
KEY_BYTES = 6


class Questions:
    """Telegram gives a button 64 bytes, a question may be longer. After a restart nothing is known any more."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._being_answered: set[str] = set()

    def keep(self, text: str) -> str:
        """Remember a question, and forget the oldest. Gives its key."""
        key = secrets.token_urlsafe(KEY_BYTES)
        self._texts[key] = text
        if len(self._texts) > KEPT:
            self._texts.popitem(last=False)
        return key

    def text(self, key: str) -> str | None:
        return self._texts.get(key)

    def is_being_answered(self, key: str) -> bool:
        return key in self._being_answered

    @contextmanager
    def being_answered(self, key: str) -> Iterator[None]:
        """Mark a question, so that it is not asked twice at once."""
        self._being_answered.add(key)
        try:
            yield
        finally:
            self._being_answered.discard(key)
