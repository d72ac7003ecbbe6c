"""The queue behind `getUpdates`: updates wait until the bot confirms them by asking for later ones."""

import itertools
from collections.abc import Sequence
from typing import Any, Final

from examples.bot.stand_ins.telegram.changes import Changes
from examples.bot.stand_ins.telegram.refusals import CONFLICT, Refusal

OPT_IN: Final = {"chat_member", "message_reaction", "message_reaction_count"}
"""Sent only to a bot that asks for them by name."""
LONGEST_POLL_SECONDS: Final = 50


class Updates:
    """What happened for the bot, in order. One long poll at a time: a later one ends the earlier, with 409."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._waiting: list[dict[str, Any]] = []
        self._ids = itertools.count(1)
        self._allowed: frozenset[str] = frozenset()
        self._poll: object = None

    def push(self, kind: str, body: dict[str, Any]) -> None:
        """Something of this kind (`message`, `callback_query`, ...) happened."""
        if kind in self._allowed or not (self._allowed or kind in OPT_IN):
            self._waiting.append({"update_id": next(self._ids), kind: body})
            self._changes.announce()

    async def take(
        self, offset: int = 0, limit: int = 100, timeout: float = 0, allowed: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """At most `limit` updates from `offset` on, as soon as there are any; none after `timeout` seconds.

        Those before `offset` are confirmed, and forgotten. Raises `Refusal` when another poll takes over.
        """
        if allowed is not None:
            self._allowed = frozenset(allowed)
        if offset < 0:
            offset = self._waiting[offset:][0]["update_id"] if self._waiting else 0
        self._waiting = [update for update in self._waiting if update["update_id"] >= offset]
        if not self._waiting and timeout > 0:
            await self._wait(min(timeout, LONGEST_POLL_SECONDS))
        return self._waiting[: max(1, min(limit, 100))]

    def drop(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def _wait(self, timeout: float) -> None:
        mine = self._poll = object()
        self._changes.announce()
        await self._changes.until(lambda: self._waiting or self._poll is not mine, timeout)
        if self._poll is not mine:
            raise Refusal(
                CONFLICT,
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
            )
        self._poll = None
