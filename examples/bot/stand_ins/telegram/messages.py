"""What stands in a chat: users, chats, messages, documents, and how the Bot API writes each."""

from dataclasses import dataclass
from typing import Any, Literal

Keyboard = tuple[tuple[dict[str, Any], ...], ...]
"""Rows of inline buttons, each as the Bot API writes it."""


@dataclass(frozen=True, slots=True)
class User:
    """A person or the bot."""

    id: int
    name: str
    is_bot: bool = False
    username: str | None = None
    language_code: str | None = None

    def as_json(self) -> dict[str, Any]:
        written = {"id": self.id, "is_bot": self.is_bot, "first_name": self.name}
        optional = {"username": self.username, "language_code": self.language_code}
        return written | {name: value for name, value in optional.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Chat:
    """A private chat, whose id is the person's, or a group."""

    id: int
    type: Literal["private", "group"]
    name: str

    def as_json(self) -> dict[str, Any]:
        name = "first_name" if self.type == "private" else "title"
        return {"id": self.id, "type": self.type, name: self.name}


@dataclass(frozen=True, slots=True)
class Document:
    """A file in a chat."""

    name: str
    content: bytes
    file_id: str

    def as_json(self) -> dict[str, Any]:
        return {
            "file_id": self.file_id,
            "file_unique_id": self.file_id.rpartition("-")[2],
            "file_name": self.name,
            "file_size": len(self.content),
        }


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message as it stands. An edit makes a new one in its place."""

    chat_id: int
    message_id: int
    sender: User
    date: int
    """Seconds since 1970."""
    text: str
    """As a person reads it: without tags. Of a document, its caption."""
    entities: tuple[dict[str, Any], ...] = ()
    """What Telegram made of the tags."""
    html: str = ""
    """As the bot sent it, tags included."""
    keyboard: Keyboard = ()
    document: Document | None = None
    reply_to: int | None = None
    """The id of the message that this one answers."""
    past: tuple[str, ...] = ()
    """The texts that it had before its edits, oldest first."""
    edit_date: int | None = None
    revision: int = 0
    """When it last changed, in the stand-in's count of changes."""

    @property
    def buttons(self) -> list[str]:
        """The labels of its buttons, row by row."""
        return [button["text"] for row in self.keyboard for button in row]

    def shows(self, part: str) -> bool:
        """Whether the text or the name of the document contains this."""
        return part in self.text or (self.document is not None and part in self.document.name)
