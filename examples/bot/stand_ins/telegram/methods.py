"""The methods of the Bot API that the stand-in knows, by their names in small letters."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from examples.bot.stand_ins.telegram.commands import Scope, parsed_commands, parsed_scope
from examples.bot.stand_ins.telegram.editing import (
    delete_message,
    edit_message_caption,
    edit_message_reply_markup,
    edit_message_text,
)
from examples.bot.stand_ins.telegram.parameters import Parameters
from examples.bot.stand_ins.telegram.sending import send_chat_action, send_document, send_message
from examples.bot.stand_ins.telegram.world import World

Method = Callable[[World, Parameters], Awaitable[Any]]
"""Takes the parameters, returns the result as JSON holds it, or raises `Refusal`."""


async def get_me(world: World, _: Parameters) -> dict[str, Any]:
    can = {"can_join_groups": True, "can_read_all_group_messages": True, "supports_inline_queries": False}
    return world.bot.as_json() | can


async def get_updates(world: World, said: Parameters) -> list[dict[str, Any]]:
    allowed = said.get("allowed_updates")
    return await world.updates.take(
        said.whole("offset"),
        said.whole("limit", 100),
        said.whole("timeout"),
        allowed if isinstance(allowed, list) else None,
    )


async def delete_webhook(world: World, said: Parameters) -> bool:
    """There is never one; what waits may be dropped with it."""
    if said.get("drop_pending_updates"):
        world.updates.drop()
    return True


async def get_webhook_info(world: World, _: Parameters) -> dict[str, Any]:
    return {"url": "", "has_custom_certificate": False, "pending_update_count": world.updates.count}


async def answer_callback_query(world: World, said: Parameters) -> bool:
    world.callbacks.answer(said.text("callback_query_id"), said.text("text"), bool(said.get("show_alert")))
    return True


async def get_file(world: World, said: Parameters) -> dict[str, Any]:
    document = world.chats.document(said.text("file_id"))
    about = document.as_json()
    del about["file_name"]
    return about | {"file_path": f"documents/{document.file_id}"}


async def set_my_commands(world: World, said: Parameters) -> bool:
    world.menus.set(scope_of(world, said), said.text("language_code"), parsed_commands(said.get("commands")))
    world.changes.announce()
    return True


async def get_my_commands(world: World, said: Parameters) -> list[dict[str, str]]:
    menu = world.menus.get(scope_of(world, said), said.text("language_code"))
    return [{"command": line.command, "description": line.description} for line in menu]


async def delete_my_commands(world: World, said: Parameters) -> bool:
    world.menus.set(scope_of(world, said), said.text("language_code"), [])
    world.changes.announce()
    return True


def scope_of(world: World, said: Parameters) -> Scope:
    """Raises `Refusal` for a scope of a chat that nobody opened."""
    scope = parsed_scope(said.get("scope"))
    if scope.chat_id is not None:
        world.chats.room(scope.chat_id)
    return scope


METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        "getme": get_me,
        "getupdates": get_updates,
        "deletewebhook": delete_webhook,
        "getwebhookinfo": get_webhook_info,
        "sendmessage": send_message,
        "senddocument": send_document,
        "sendchataction": send_chat_action,
        "editmessagetext": edit_message_text,
        "editmessagecaption": edit_message_caption,
        "editmessagereplymarkup": edit_message_reply_markup,
        "deletemessage": delete_message,
        "answercallbackquery": answer_callback_query,
        "getfile": get_file,
        "setmycommands": set_my_commands,
        "getmycommands": get_my_commands,
        "deletemycommands": delete_my_commands,
    }
)
