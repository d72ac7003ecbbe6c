"""A stand-in for Telegram: its Bot API as an HTTP server on loopback, and people who talk with the bot through it.

Codes, wordings and limits are those of https://core.telegram.org/bots/api and of Telegram's own server for it
(https://github.com/tdlib/telegram-bot-api), as far as a bot of texts, buttons and documents meets them.
"""

from examples.bot.stand_ins.telegram.messages import ChatMessage, Document
from examples.bot.stand_ins.telegram.people import Group, Person
from examples.bot.stand_ins.telegram.server import TelegramStandIn

__all__ = ["ChatMessage", "Document", "Group", "Person", "TelegramStandIn"]
