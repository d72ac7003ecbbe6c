"""All that the stand-in knows, in one place: the bot, the chats, what waits for the bot, and its menus."""

from dataclasses import dataclass, field
from typing import Any

from examples.bot.stand_ins.telegram.callbacks import Callbacks
from examples.bot.stand_ins.telegram.changes import Changes
from examples.bot.stand_ins.telegram.chats import Chats
from examples.bot.stand_ins.telegram.commands import Menus
from examples.bot.stand_ins.telegram.messages import User
from examples.bot.stand_ins.telegram.updates import Updates


@dataclass(slots=True)
class World:
    """Made empty. Everything in it announces its changes in `changes`."""

    bot: User
    changes: Changes = field(default_factory=Changes)
    menus: Menus = field(default_factory=Menus)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Method, in small letters, and parameters of every call so far."""
    chats: Chats = field(init=False)
    updates: Updates = field(init=False)
    callbacks: Callbacks = field(init=False)

    def __post_init__(self) -> None:
        self.chats = Chats(self.changes)
        self.updates = Updates(self.changes)
        self.callbacks = Callbacks(self.changes)
