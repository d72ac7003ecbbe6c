"""What the trace of a Telegram update says of it and of the bot's answers, in the trace's metadata."""

from typing import Final

UPDATE_TYPE: Final = "telegram.update_type"
UPDATE_ID: Final = "telegram.update_id"
MESSAGES: Final = "telegram.messages"
"""The messages that the bot sent or edited: a list of `message_key`."""


def message_key(bot_id: int, chat_id: int, message_id: int) -> str:
    """A message as one text, since a search inside JSON does not look at the order of numbers.

    Of which bot: in private chats each counts its messages by itself, and the chats of one person have one number.
    """
    return f"{bot_id}:{chat_id}:{message_id}"
