"""The parameters of a call, however they came: in the query, as JSON, as a form, or in parts with files."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from aiohttp import web
from aiohttp.web_request import FileField

from examples.bot.stand_ins.telegram.refusals import bad_request

WHOLE_NUMBERS: Final = {
    "chat_id", "message_id", "offset", "limit", "timeout", "reply_to_message_id", "cache_time", "message_thread_id",
}  # fmt: skip
FLAGS: Final = {
    "show_alert", "disable_notification", "protect_content", "drop_pending_updates", "allow_sending_without_reply",
    "disable_content_type_detection",
}  # fmt: skip
OBJECTS: Final = {
    "reply_markup": "reply keyboard markup", "reply_parameters": "reply parameters", "entities": "entities",
    "caption_entities": "caption entities", "allowed_updates": "allowed updates", "scope": "BotCommandScope",
    "commands": "commands", "link_preview_options": "link preview options",
}  # fmt: skip


class Upload(NamedTuple):
    """A file that came with a call."""

    name: str
    content: bytes


class Parameters(dict[str, Any]):
    """By name: whole numbers, flags and objects as such, the rest as text, files as `Upload`."""

    def whole(self, name: str, default: int = 0) -> int:
        value = self.get(name, default)
        return value if isinstance(value, int) else default

    def text(self, name: str) -> str:
        value = self.get(name)
        return value if isinstance(value, str) else "" if value is None else str(value)


async def parameters_of(request: web.Request) -> Parameters:
    """All that the call says. Raises `Refusal` for what cannot be read."""
    said: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = await request.text()
        if body:
            said |= mapping(body)
    elif request.method == "POST":
        said |= await request.post()
    files = {name: Upload(field.filename, field.file.read()) for name, field in said.items() if is_file(field)}
    plain = {name: decoded(name, value) for name, value in said.items() if name not in files}
    return Parameters({name: attached(value, files) for name, value in plain.items()} | own_parts(files, plain))


def mapping(body: str) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise bad_request("can't parse JSON object")
    return said


def is_file(value: object) -> bool:
    return isinstance(value, FileField)


def decoded(name: str, value: Any) -> Any:
    """What a form says as text, as what is meant."""
    if not isinstance(value, str):
        return value
    if name in WHOLE_NUMBERS:
        return int(value) if value.strip().removeprefix("-").isdecimal() else value
    if name in FLAGS:
        return value.lower() in {"true", "yes", "1"}
    if name not in OBJECTS or not value:
        return value if name not in OBJECTS else None
    try:
        return json.loads(value)
    except ValueError:
        raise bad_request(f"can't parse {OBJECTS[name]} JSON object") from None


def attached(value: Any, files: Mapping[str, Upload]) -> Any:
    """The file that `attach://name` means."""
    if isinstance(value, str) and value.startswith("attach://"):
        return files.get(value.removeprefix("attach://"), value)
    return value


def own_parts(files: Mapping[str, Upload], plain: Mapping[str, Any]) -> dict[str, Upload]:
    """The files that are a parameter by their own name, and not by that of an attachment."""
    named = {value.removeprefix("attach://") for value in plain.values() if isinstance(value, str)}
    return {name: upload for name, upload in files.items() if name not in named}
