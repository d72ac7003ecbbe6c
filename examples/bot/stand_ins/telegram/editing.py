"""What the bot changes in messages that it sent."""

from typing import Any

from examples.bot.stand_ins.telegram.chats import Room
from examples.bot.stand_ins.telegram.keyboards import inline_keyboard
from examples.bot.stand_ins.telegram.messages import ChatMessage
from examples.bot.stand_ins.telegram.parameters import Parameters
from examples.bot.stand_ins.telegram.refusals import bad_request
from examples.bot.stand_ins.telegram.sending import caption_of, text_of
from examples.bot.stand_ins.telegram.world import World


async def edit_message_text(world: World, said: Parameters) -> dict[str, Any]:
    """Without a keyboard of its own an edit takes the one that was there away, as on the real server."""
    formatted, keyboard = text_of(said), inline_keyboard(said.get("reply_markup"))
    room, message = edited(world, said)
    if message.document is not None:
        raise bad_request("there is no text in the message to edit")
    return changed(
        world, room, message,
        text=formatted.text, entities=formatted.entities, html=said.text("text"), keyboard=keyboard,
    )  # fmt: skip


async def edit_message_caption(world: World, said: Parameters) -> dict[str, Any]:
    caption, keyboard = caption_of(said), inline_keyboard(said.get("reply_markup"))
    room, message = edited(world, said)
    if message.document is None:
        raise bad_request("there is no caption in the message to edit")
    return changed(
        world, room, message,
        text=caption.text, entities=caption.entities, html=said.text("caption"), keyboard=keyboard,
    )  # fmt: skip


async def edit_message_reply_markup(world: World, said: Parameters) -> dict[str, Any]:
    keyboard = inline_keyboard(said.get("reply_markup"))
    room, message = edited(world, said)
    return changed(world, room, message, keyboard=keyboard)


async def delete_message(world: World, said: Parameters) -> bool:
    room, message = found(world, said, "delete")
    world.chats.delete(room, message)
    return True


def edited(world: World, said: Parameters) -> tuple[Room, ChatMessage]:
    """The message that is meant, and its room. Raises `Refusal` for one that the bot may not edit."""
    room, message = found(world, said, "edit")
    if message.sender != world.bot:
        raise bad_request("message can't be edited")
    return room, message


def found(world: World, said: Parameters, purpose: str) -> tuple[Room, ChatMessage]:
    if said.get("message_id") is None:
        raise bad_request("message identifier is not specified")
    room = world.chats.open_to_bot(said.get("chat_id"))
    message = room.messages.get(said.whole("message_id"))
    if message is None:
        raise bad_request(f"message to {purpose} not found")
    return room, message


def changed(world: World, room: Room, message: ChatMessage, **to: Any) -> dict[str, Any]:
    return world.chats.as_json(world.chats.edit(room, message, **to))
