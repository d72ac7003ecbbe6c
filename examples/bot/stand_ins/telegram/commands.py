"""The menus of commands: one for each scope and language, and which of them a person sees.

https://core.telegram.org/bots/api#determining-list-of-commands
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from examples.bot.stand_ins.telegram.messages import Chat, User
from examples.bot.stand_ins.telegram.refusals import bad_request

NAME = re.compile(r"[a-z0-9_]{1,32}")
COMMANDS: Final = 100
DESCRIPTION_CHARACTERS: Final = 256
WHOLE_SCOPES: Final = {"default", "all_private_chats", "all_group_chats", "all_chat_administrators"}
CHAT_SCOPES: Final = {"chat", "chat_administrators", "chat_member"}


class Scope(NamedTuple):
    """Whom a menu is for."""

    type: str = "default"
    chat_id: int | None = None
    user_id: int | None = None


class Command(NamedTuple):
    """A line of a menu, without the slash."""

    command: str
    description: str


class Menus:
    """What the bot has set so far."""

    def __init__(self) -> None:
        self._menus: dict[tuple[Scope, str], list[Command]] = {}

    def set(self, scope: Scope, language: str, commands: list[Command]) -> None:
        """An empty list is as if the menu were deleted."""
        self._menus[scope, language] = commands

    def get(self, scope: Scope, language: str) -> list[Command]:
        """Exactly of this scope and language."""
        return self._menus.get((scope, language), [])

    def shown(self, user: User, chat: Chat) -> list[Command]:
        """What the user sees in the chat: the narrowest scope that has a menu, their language before none."""
        kind = "all_private_chats" if chat.type == "private" else "all_group_chats"
        narrow = [] if chat.type == "private" else [Scope("chat_member", chat.id, user.id)]
        for scope in (*narrow, Scope("chat", chat.id), Scope(kind), Scope()):
            for language in (user.language_code or "", ""):
                if menu := self.get(scope, language):
                    return menu
        return []


def parsed_scope(scope: object) -> Scope:
    """A `BotCommandScope`; none is the default one. Raises `Refusal`."""
    if scope is None:
        return Scope()
    if not isinstance(scope, Mapping):
        raise bad_request("can't parse BotCommandScope: BotCommandScope must be an Object")
    kind = scope.get("type")
    if kind in WHOLE_SCOPES:
        return Scope(kind)
    if kind not in CHAT_SCOPES:
        raise bad_request("can't parse BotCommandScope: unsupported type specified")
    chat_id, user_id = number(scope.get("chat_id")), number(scope.get("user_id"))
    if chat_id is None:
        raise bad_request("chat not found")
    if kind == "chat_member" and user_id is None:
        raise bad_request("can't parse BotCommandScope: invalid user_id specified")
    return Scope(kind, chat_id, user_id if kind == "chat_member" else None)


def number(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def parsed_commands(commands: object) -> list[Command]:
    """A list of `BotCommand`. Raises `Refusal`."""
    if not isinstance(commands, list):
        raise bad_request("can't parse commands JSON object")
    if len(commands) > COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    return [parsed_command(command) for command in commands]


def parsed_command(command: Any) -> Command:
    if not isinstance(command, Mapping):
        raise bad_request("can't parse BotCommand: expected an Object")
    name = str(command.get("command", "")).strip().removeprefix("/")
    description = str(command.get("description", "")).strip()
    if not name:
        raise bad_request("command must be non-empty")
    if not description:
        raise bad_request("command description must be non-empty")
    if len(description) > DESCRIPTION_CHARACTERS:
        raise bad_request(f"command description length must not exceed {DESCRIPTION_CHARACTERS}")
    if not NAME.fullmatch(name):
        raise bad_request("BOT_COMMAND_INVALID")
    return Command(name, description)
