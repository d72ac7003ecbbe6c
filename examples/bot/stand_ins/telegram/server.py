"""The composition: one server with the Bot API for the bot, and doors for the people who talk with it."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from examples.bot.stand_ins.telegram.api import REQUEST_BYTES, BotApi
from examples.bot.stand_ins.telegram.faults import Drop, Faults, fault
from examples.bot.stand_ins.telegram.messages import Chat, User
from examples.bot.stand_ins.telegram.people import Group, People, Person
from examples.bot.stand_ins.telegram.visits import Visits
from examples.bot.stand_ins.telegram.world import World

BOT_ID: Final = 1_000_000
HOST: Final = "127.0.0.1"
PORT: Final = 8081
"""Where a stand-in is expected by those who are not told: Telegram's own server for bots has the same default."""
SHUTDOWN_SECONDS: Final = 1.0


class TelegramStandIn:
    """`async with TelegramStandIn.running() as telegram:` serves at `telegram.url` a bot that has `telegram.token`."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token or f"{BOT_ID}:{secrets.token_urlsafe(26)}"
        self.url = ""
        self._faults = Faults()
        self._world = World(User(bot_id(self.token), "Stand-in", is_bot=True, username="stand_in_bot"))
        self._people = People(self._world)

    @classmethod
    @asynccontextmanager
    async def running(cls, port: int = 0, token: str | None = None) -> AsyncIterator["TelegramStandIn"]:
        """On a free port of 127.0.0.1, or this one; for a bot with a new token, or this one."""
        stand_in = cls(token)
        application = web.Application(client_max_size=REQUEST_BYTES)
        application.add_routes(BotApi(stand_in._world, stand_in.token, stand_in._faults).routes())
        application.add_routes(Visits(stand_in._people).routes())
        # An access log would hold the token: it is in every path.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
            stand_in.url = f"http://{HOST}:{runner.addresses[0][1]}"
            yield stand_in
        finally:
            stand_in._world.changes.close()
            await runner.cleanup()

    def person(self, person_id: int, name: str, *, language_code: str | None = None) -> Person:
        """Somebody with a private chat with the bot, whose id is the person's. The same one for the same id."""
        return self._people.person(person_id, name, language_code)

    def group(self, group_id: int, name: str, *people: Person) -> Group:
        """A group of these people with the bot; `person.within(group)` speaks in it. Its id is below zero."""
        if group_id >= 0:
            raise ValueError(f"the id of a group is below zero, {group_id} is not")
        self._world.chats.open(Chat(group_id, "group", name))
        return Group(self._world, group_id, [person.user for person in people])

    def fail(
        self,
        method: str,
        *,
        status: int | None = None,
        description: str | None = None,
        retry_after: int | None = None,
        times: int | None = 1,
        delay: float = 0.0,
        drop: Drop | None = None,
        chat_id: int | None = None,
    ) -> None:
        """The next `times` calls of the method (None: all) fail, in one chat or in all.

        They are answered with the HTTP `status`, so many seconds late with `delay`, or not at all with `drop`: the
        connection breaks before the call is carried out (`"request"`) or after it (`"answer"`).
        """
        self._faults.order(
            fault(
                method, status=status, description=description, retry_after=retry_after, times=times, delay=delay,
                drop=drop, chat_id=chat_id,
            )
        )  # fmt: skip

    def heal(self) -> None:
        """No more of the faults that were ordered."""
        self._faults.clear()

    def calls(self, method: str) -> list[dict[str, Any]]:
        """The parameters of the calls of this method so far, those that failed included, oldest first."""
        return [said for name, said in self._world.calls if name == method.lower()]

    def expire_presses(self) -> None:
        """All presses of buttons so far are from now on too old to be answered."""
        self._world.callbacks.expire()


def bot_id(token: str) -> int:
    """What stands before the colon. Raises `ValueError`, without the token."""
    number, colon, secret = token.partition(":")
    if not (number.isdecimal() and colon and secret):
        raise ValueError("a bot's token is a number, a colon and a secret: this one is not")
    return int(number)
