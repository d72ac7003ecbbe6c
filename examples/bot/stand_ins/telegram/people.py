"""People who talk with the bot: what a user does with thumbs, a test or a program does with these."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from examples.bot.stand_ins.telegram.callbacks import Press
from examples.bot.stand_ins.telegram.entities import commands_in
from examples.bot.stand_ins.telegram.messages import Chat, ChatMessage, User
from examples.bot.stand_ins.telegram.world import World

Outcome = TypeVar("Outcome")

PATIENCE_SECONDS: Final = 30.0
"""How long a person waits for the bot: only against waiting for ever."""


class Person:
    """Somebody in a chat with the bot: a private one, or a group with `within`."""

    def __init__(self, world: World, user: User, chat_id: int) -> None:
        self._world = world
        self._room = world.chats.room(chat_id)
        self.user = user

    @property
    def id(self) -> int:
        return self.user.id

    @property
    def name(self) -> str:
        return self.user.name

    @property
    def chat(self) -> list[ChatMessage]:
        """The whole conversation as it stands, oldest first."""
        return list(self._room.messages.values())

    @property
    def menu(self) -> list[tuple[str, str]]:
        """The commands that this person's menu shows here, each with its description."""
        return [(line.command, line.description) for line in self._world.menus.shown(self.user, self._room.chat)]

    @property
    def actions(self) -> list[str]:
        """What the bot said so far that it is doing here: `typing`, ..."""
        return list(self._room.actions)

    def within(self, group: "Group") -> "Person":
        """The same person, in the group."""
        if self.user not in group.members:
            raise ValueError(f"{self.name} is not in the group {group.name!r}")
        return Person(self._world, self.user, group.id)

    async def says(self, text: str) -> int:
        """Sends a text, and returns its message id."""
        return self._send(text).message_id

    async def replies(self, message: ChatMessage | int, text: str) -> int:
        """Sends a text as an answer to that message, and returns its own message id."""
        replied = message if isinstance(message, int) else message.message_id
        if replied not in self._room.messages:
            raise ValueError(f"there is no message {replied} to reply to")
        return self._send(text, reply_to=replied).message_id

    async def sends_document(self, name: str, content: bytes, caption: str = "") -> int:
        """Sends a file, and returns its message id."""
        return self._send(caption, document=self._world.chats.keep(name, content)).message_id

    async def presses(
        self, label: str, *, on: ChatMessage | None = None, timeout: float = PATIENCE_SECONDS
    ) -> str | None:
        """Presses an inline button, on the newest message that shows it or `on` that one.

        Returns what the bot answers to the press, None if nothing. Raises `TimeoutError` where no message shows
        the button, or the bot does not answer.
        """
        found = await self._awaited(lambda: self._button(label, on), timeout)
        if found is None:
            shown = [message.buttons for message in self.chat if message.buttons]
            raise TimeoutError(f"no message shows {self.name} a button {label!r}, but these: {shown}")
        press = self.press(*found)
        if not await self._awaited(lambda: press.answered, timeout):
            raise TimeoutError(f"the bot did not answer that {self.name} pressed {label!r} within {timeout} s")
        return press.text

    async def hears(self, part: str = "", *, after: int = 0, timeout: float = PATIENCE_SECONDS) -> ChatMessage:
        """The newest message of the bot, as it stands now, that contains this, once there is one.

        Only messages later than the message `after` count. Raises `TimeoutError` with the conversation.
        """
        message = await self._awaited(lambda: self._heard(part, after), timeout)
        if message is None:
            stands = "\n".join(f"{one.message_id} {one.sender.name}: {one.text}" for one in self.chat)
            raise TimeoutError(f"{self.name} did not hear {part!r} within {timeout} s. The conversation:\n{stands}")
        return message

    async def blocks_bot(self) -> None:
        """From now on the bot may not write to this person."""
        self._set_blocked(True)

    async def unblocks_bot(self) -> None:
        self._set_blocked(False)

    def press(self, message: ChatMessage, button: dict[str, Any]) -> Press:
        """Presses without waiting. Raises `ValueError` for a button that does not go to the bot."""
        if "callback_data" not in button:
            raise ValueError(f"the button {button['text']!r} does not tell the bot anything")
        press = self._world.callbacks.open()
        self._world.updates.push(
            "callback_query",
            {
                "id": press.id,
                "from": self.user.as_json(),
                "message": self._world.chats.as_json(message),
                "chat_instance": str(self._room.chat.id),
                "data": button["callback_data"],
            },
        )
        return press

    def _send(self, text: str, **more: Any) -> ChatMessage:
        if self._room.blocked:
            raise ValueError(f"{self.name} has blocked the bot, and cannot write to it before unblocking")
        if not text and "document" not in more:
            raise ValueError("a text that is said must not be empty")
        message = self._world.chats.add(self._room, self.user, text, entities=commands_in(text), **more)
        self._world.updates.push("message", self._world.chats.as_json(message))
        return message

    def _button(self, label: str, on: ChatMessage | None) -> tuple[ChatMessage, dict[str, Any]] | None:
        for message in reversed(self.chat):
            if on is not None and message.message_id != on.message_id:
                continue
            for button in (button for row in message.keyboard for button in row):
                if button["text"] == label:
                    return message, button
        return None

    def _heard(self, part: str, after: int) -> ChatMessage | None:
        heard = (one for one in reversed(self.chat) if one.sender == self._world.bot and one.message_id > after)
        return next((message for message in heard if message.shows(part)), None)

    async def _awaited(self, condition: Callable[[], Outcome], timeout: float) -> Outcome:
        return await self._world.changes.until(condition, timeout)

    def _set_blocked(self, blocked: bool) -> None:
        was, self._room.blocked = self._room.blocked, blocked
        if was == blocked:
            return
        bot = self._world.bot.as_json()
        states = {"status": "member", "user": bot}, {"status": "kicked", "user": bot, "until_date": 0}
        old, new = states if blocked else reversed(states)
        self._world.updates.push(
            "my_chat_member",
            {
                "chat": self._room.chat.as_json(),
                "from": self.user.as_json(),
                "date": 0,
                "old_chat_member": old,
                "new_chat_member": new,
            },
        )


class Group:
    """A chat of several people with the bot, which hears everything that they say."""

    def __init__(self, world: World, chat_id: int, members: Sequence[User]) -> None:
        self._room = world.chats.room(chat_id)
        self.members = tuple(members)

    @property
    def id(self) -> int:
        return self._room.chat.id

    @property
    def name(self) -> str:
        return self._room.chat.name

    @property
    def chat(self) -> list[ChatMessage]:
        """The whole conversation as it stands, oldest first."""
        return list(self._room.messages.values())


class People:
    """Everybody whom a program or a visitor from outside has introduced so far."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._known: dict[int, Person] = {}

    def person(self, person_id: int, name: str, language_code: str | None = None) -> Person:
        """The one with this id, introduced by this name where there is none, with a private chat of the same id."""
        if person_id <= 0:
            raise ValueError(f"the id of a person is above zero, {person_id} is not")
        if person_id not in self._known:
            self.world.chats.open(Chat(person_id, "private", name))
            user = User(person_id, name, language_code=language_code)
            self._known[person_id] = Person(self.world, user, person_id)
        return self._known[person_id]

    def known(self, person_id: int) -> Person | None:
        return self._known.get(person_id)
