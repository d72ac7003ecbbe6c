"""What the bot sends: texts, documents, and that it is typing."""

from typing import Any, Final

from examples.bot.stand_ins.telegram.chats import Room
from examples.bot.stand_ins.telegram.entities import Formatted, parsed_html, trimmed
from examples.bot.stand_ins.telegram.keyboards import inline_keyboard
from examples.bot.stand_ins.telegram.messages import Document
from examples.bot.stand_ins.telegram.parameters import Parameters, Upload
from examples.bot.stand_ins.telegram.refusals import TOO_LARGE, Refusal, bad_request
from examples.bot.stand_ins.telegram.world import World

TEXT_CHARACTERS: Final = 4096
CAPTION_CHARACTERS: Final = 1024
DOCUMENT_BYTES: Final = 50 * 1024 * 1024
ACTIONS: Final = {
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "upload_document",
    "choose_sticker", "find_location", "record_video_note", "upload_video_note",
}  # fmt: skip


async def send_message(world: World, said: Parameters) -> dict[str, Any]:
    formatted, keyboard = text_of(said), inline_keyboard(said.get("reply_markup"))
    room = world.chats.open_to_bot(said.get("chat_id"))
    message = world.chats.add(
        room,
        world.bot,
        formatted.text,
        entities=formatted.entities,
        html=said.text("text"),
        keyboard=keyboard,
        reply_to=replied(room, said),
    )
    return world.chats.as_json(message)


async def send_document(world: World, said: Parameters) -> dict[str, Any]:
    document, caption = document_of(world, said), caption_of(said)
    keyboard = inline_keyboard(said.get("reply_markup"))
    room = world.chats.open_to_bot(said.get("chat_id"))
    message = world.chats.add(
        room,
        world.bot,
        caption.text,
        entities=caption.entities,
        html=said.text("caption"),
        keyboard=keyboard,
        document=document,
        reply_to=replied(room, said),
    )
    return world.chats.as_json(message)


async def send_chat_action(world: World, said: Parameters) -> bool:
    if said.get("action") not in ACTIONS:
        raise bad_request("wrong parameter action in request")
    world.chats.open_to_bot(said.get("chat_id")).actions.append(said.text("action"))
    world.changes.announce()
    return True


def text_of(said: Parameters) -> Formatted:
    """The text of a message. Raises `Refusal` for one that is empty, too long or not to be parsed."""
    if not said.text("text"):
        raise bad_request("message text is empty")
    formatted = formatted_text(said, "text", "entities")
    if not formatted.text:
        raise bad_request("text must be non-empty")
    if len(formatted.text) > TEXT_CHARACTERS:
        raise bad_request("message is too long")
    return formatted


def caption_of(said: Parameters) -> Formatted:
    """The text of a document, which may be empty. Raises `Refusal`."""
    formatted = formatted_text(said, "caption", "caption_entities")
    if len(formatted.text) > CAPTION_CHARACTERS:
        raise bad_request("message caption is too long")
    return formatted


def formatted_text(said: Parameters, text: str, entities: str) -> Formatted:
    mode = said.text("parse_mode").lower()
    if mode == "html":
        return parsed_html(said.text(text))
    if mode not in {"", "none"}:
        raise bad_request("unsupported parse_mode")
    given = said.get(entities)
    return trimmed(Formatted(said.text(text), tuple(given) if isinstance(given, list) else ()))


def document_of(world: World, said: Parameters) -> Document:
    """A file that came with the call, or one that the stand-in has already. Raises `Refusal`."""
    given = said.get("document")
    if not given:
        raise bad_request("there is no document in the request")
    if not isinstance(given, Upload):
        return world.chats.document(str(given))
    if not given.content:
        raise bad_request("file must be non-empty")
    if len(given.content) > DOCUMENT_BYTES:
        raise Refusal(TOO_LARGE, "Request Entity Too Large")
    return world.chats.keep(given.name, given.content)


def replied(room: Room, said: Parameters) -> int | None:
    """The message that this one answers, if it is there. Raises `Refusal` where it must be and is not."""
    parameters = said.get("reply_parameters") or {}
    if not isinstance(parameters, dict):
        raise bad_request("can't parse reply parameters: expected an Object")
    wanted = parameters.get("message_id") or said.whole("reply_to_message_id")
    lenient = parameters.get("allow_sending_without_reply") or said.get("allow_sending_without_reply")
    if not wanted or (wanted not in room.messages and lenient):
        return None
    if wanted not in room.messages:
        raise bad_request("message to be replied not found")
    return int(wanted)
