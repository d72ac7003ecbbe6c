"""Looks again and again, and tells each admin chat what it does not know yet, in one message."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Final

from tracequeue_worker.alerts.dead_letters import KEY as DEAD_LETTERS
from tracequeue_worker.alerts.findings import Sight
from tracequeue_worker.alerts.lookout import Lookout
from tracequeue_worker.alerts.memory import Memory, Notice, note_told, take_in, to_tell
from tracequeue_worker.alerts.outage import Outage
from tracequeue_worker.alerts.rules import AlertRules
from tracequeue_worker.alerts.shared import Claim, SharedMemory
from tracequeue_worker.cancellation import leave_if_cancelled
from tracequeue_worker.errors import Fatal, Transient

MESSAGE_LENGTH: Final = 4000
"""UTF-16 units, of the 4096 that Telegram takes; it counts what is seen."""
TAG: Final = re.compile(r"</?[a-z]+>")
GRACE_SECONDS: Final = 5.0
"""So long a message that is on its way may take when we stop: it was perhaps delivered, and should be remembered."""

Tell = Callable[[int, str], Awaitable[bool]]
"""Sends HTML to a chat; whether it arrived."""

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Watchman:
    """What one process does of the watch. That Redis is away it remembers itself: nobody else could."""

    def __init__(
        self,
        lookout: Lookout,
        shared: SharedMemory,
        chats: Sequence[int],
        tell: Tell,
        *,
        rules: AlertRules,
        interval: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._lookout = lookout
        self._shared = shared
        self._tell = tell
        self._rules = rules
        self._interval = interval
        self._clock = clock
        self._redis = Outage("Redis")
        self._own = {chat: Memory() for chat in chats}

    async def run(self) -> None:
        """Until cancelled. A defect is logged whole, and costs one look."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("alerts: a look failed by a defect: report it")
            leave_if_cancelled()
            await asyncio.sleep(self._interval.total_seconds())

    async def look(self) -> None:
        """Look once, and tell what is to be told."""
        now = self._clock()
        claims, sights = await self._look(now)
        own = Sight([self._redis.finding(self._rules, now)])
        outcomes = await asyncio.gather(
            *(self._serve(chat, own, claims.get(chat), sights.get(chat, Sight()), now) for chat in self._own),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _look(self, now: datetime) -> tuple[Mapping[int, Claim], Mapping[int, Sight]]:
        """The chats that are ours in this look, and what was found; none where Redis is away."""
        try:
            claims = await self._claims(now)
            sights = await self._sights(claims, now) if claims else {}
        except (Transient, Fatal) as error:
            self._redis.failed(error, now)
            return {}, {}
        self._redis.recovered()
        return claims, sights

    async def _claims(self, now: datetime) -> dict[int, Claim]:
        claims = {}
        for chat in self._own:
            claim = await self._shared.claim(chat)
            if claim is None:
                continue
            looked_at = claim.memory.looked_at
            if looked_at is not None and abs(now - looked_at) < self._interval / 2:
                await claim.save()  # another process has just looked
                continue
            claim.memory.looked_at = now
            claims[chat] = claim
        return claims

    async def _sights(self, claims: Mapping[int, Claim], now: datetime) -> dict[int, Sight]:
        sight = await self._lookout.look(now)
        sights = {}
        for chat, claim in claims.items():
            if DEAD_LETTERS not in claim.memory.episodes:
                claim.memory.letters.forget_matter()
            letters = await self._lookout.look_at_letters(claim.memory, now)
            sights[chat] = Sight([*sight.findings, letters], sight.blind)
        return sights

    async def _serve(self, chat: int, own: Sight, claim: Claim | None, sight: Sight, now: datetime) -> None:
        take_in(self._own[chat], own, self._rules, now)
        if claim is not None:
            take_in(claim.memory, sight, self._rules, now)
        await _to_its_end(self._tell_and_remember(chat, claim, now))

    async def _tell_and_remember(self, chat: int, claim: Claim | None, now: datetime) -> None:
        try:
            notices = self._notices(self._own[chat], now)
            if claim is not None and (shared := self._notices(claim.memory, now)):
                claim = claim if await claim.renew() else None
                notices += shared if claim else []
            notices = _fitting(notices)
            if notices and await self._tell(chat, "\n\n".join(notice.html for _, notice in notices)):
                for memory, notice in notices:
                    note_told(memory, notice, now)
            if claim is not None:
                await claim.save()
        except (Transient, Fatal) as error:
            self._redis.failed(error, now)

    def _notices(self, memory: Memory, now: datetime) -> list[tuple[Memory, Notice]]:
        return [(memory, notice) for notice in to_tell(memory, self._rules, now)]


def _fitting(notices: list[tuple[Memory, Notice]]) -> list[tuple[Memory, Notice]]:
    """As many as one message takes; the next look tells the others."""
    fitting, left = [], MESSAGE_LENGTH
    for memory, notice in notices:
        left -= len(unescape(TAG.sub("", notice.html)).encode("utf-16-le")) // 2 + 2
        if left < 0:
            break
        fitting.append((memory, notice))
    return fitting


async def _to_its_end(work: Awaitable[None]) -> None:
    """Await it. Who is cancelled meanwhile gives it some seconds to end."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=GRACE_SECONDS)
        task.cancel()
        raise
