"""Who is there, and what stands in their chats."""

import itertools
import time
from dataclasses import dataclass, field, replace
from typing import Any

from examples.bot.stand_ins.telegram.changes import Changes
from examples.bot.stand_ins.telegram.messages import Chat, ChatMessage, Document, Keyboard, User
from examples.bot.stand_ins.telegram.refusals import FORBIDDEN, Refusal, bad_request


@dataclass(slots=True)
class Room:
    """A chat that the bot may be in, with its messages by id, in order."""

    chat: Chat
    messages: dict[int, ChatMessage] = field(default_factory=dict)
    blocked: bool = False
    """Whether the person does not want to hear from the bot."""
    actions: list[str] = field(default_factory=list)
    """What the bot said it is doing (`typing`, ...)."""


class Chats:
    """All rooms. Message ids count through all of them, as those of one account do."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._rooms: dict[int, Room] = {}
        self._message_ids = itertools.count(1)
        self._files: dict[str, Document] = {}
        self._file_ids = itertools.count(1)

    def open(self, chat: Chat) -> Room:
        """The room of the chat, made where there is none."""
        return self._rooms.setdefault(chat.id, Room(chat))

    def room(self, chat_id: object) -> Room:
        """Raises `Refusal` where nobody opened such a chat."""
        room = self._rooms.get(chat_id) if isinstance(chat_id, int) else None
        if room is None:
            raise bad_request("chat not found" if chat_id not in (None, "") else "chat_id is empty")
        return room

    def open_to_bot(self, chat_id: object) -> Room:
        """A room in which the bot may speak. Raises `Refusal`."""
        room = self.room(chat_id)
        if room.blocked:
            raise Refusal(FORBIDDEN, "Forbidden: bot was blocked by the user")
        return room

    def add(
        self,
        room: Room,
        sender: User,
        text: str,
        *,
        entities: tuple[dict[str, Any], ...] = (),
        html: str = "",
        keyboard: Keyboard = (),
        document: Document | None = None,
        reply_to: int | None = None,
    ) -> ChatMessage:
        """A new message at the end of the room."""
        message = ChatMessage(
            room.chat.id, next(self._message_ids), sender, int(time.time()), text, entities, html, keyboard,
            document, reply_to, revision=self._changes.revision + 1,
        )  # fmt: skip
        room.messages[message.message_id] = message
        self._changes.announce()
        return message

    def edit(self, room: Room, message: ChatMessage, **changed: Any) -> ChatMessage:
        """The message as it stands from now on. Raises `Refusal` where nothing would change."""
        if all(getattr(message, name) == value for name, value in changed.items() if name != "html"):
            raise bad_request(
                "message is not modified: specified new message content and reply markup are exactly the same"
                " as a current content and reply markup of the message"
            )
        past = (*message.past, message.text) if changed.get("text", message.text) != message.text else message.past
        edited = replace(message, **changed, past=past, edit_date=int(time.time()), revision=self._changes.revision + 1)
        room.messages[message.message_id] = edited
        self._changes.announce()
        return edited

    def delete(self, room: Room, message: ChatMessage) -> None:
        del room.messages[message.message_id]
        self._changes.announce()

    def keep(self, name: str, content: bytes) -> Document:
        """A document that can be sent and fetched from now on."""
        document = Document(name, content, f"document-{next(self._file_ids)}")
        self._files[document.file_id] = document
        return document

    def document(self, file_id: str) -> Document:
        """Raises `Refusal` for an id that was never given."""
        if file_id not in self._files:
            raise bad_request("wrong file identifier/HTTP URL specified")
        return self._files[file_id]

    def as_json(self, message: ChatMessage, *, within: bool = False) -> dict[str, Any]:
        """A message as the Bot API writes it; `within` another one, without the one that it answers itself."""
        room = self._rooms[message.chat_id]
        written: dict[str, Any] = {
            "message_id": message.message_id,
            "from": message.sender.as_json(),
            "chat": room.chat.as_json(),
            "date": message.date,
        }
        prefix = "caption" if message.document is not None else "text"
        entities = "entities" if prefix == "text" else "caption_entities"
        optional = {
            prefix: message.text,
            entities: list(message.entities),
            "document": message.document and message.document.as_json(),
            "edit_date": message.edit_date,
            "reply_markup": message.keyboard and {"inline_keyboard": [list(row) for row in message.keyboard]},
        }
        replied = room.messages.get(message.reply_to or 0)
        if replied is not None and not within:
            optional["reply_to_message"] = self.as_json(replied, within=True)
        return written | {name: value for name, value in optional.items() if value}
