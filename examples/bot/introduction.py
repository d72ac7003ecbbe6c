"""Says who it is that an update comes from: handlers get `user`, as the bot knows them."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware
from aiogram.types import TelegramObject
from aiogram.types import User as TelegramUser

from examples.bot.users import User, Users

logger = logging.getLogger(__name__)


class Introduction(BaseMiddleware):
    """Where the storage fails, people are answered all the same: then a user has no id."""

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        sender: TelegramUser | None = data.get("event_from_user")
        if sender is None:
            return None
        data["user"] = await _met(data["users"], sender)
        return await handler(event, data)


async def _met(users: Users, sender: TelegramUser) -> User:
    try:
        return await users.meet(sender.id, sender.full_name)
    except sqlite3.Error as error:
        logger.error("person %d is not found in the users file: %s", sender.id, error)
        return User(sender.id, sender.full_name)
