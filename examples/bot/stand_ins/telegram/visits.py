"""The door for people from other processes: `/people/<id>/...`, JSON over HTTP, with long polls for what is new."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from examples.bot.stand_ins.telegram.messages import ChatMessage
from examples.bot.stand_ins.telegram.people import PATIENCE_SECONDS, People, Person

LONGEST_WAIT_SECONDS: Final = 50.0
Visit = Callable[[Person, web.Request], Awaitable[web.StreamResponse]]


class Visits:
    """Everything a `Person` does, over HTTP. What is wrong with a request is told as `{"error": ...}`, 400 or 404."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._world = people.world

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/people/{person}", self.introduce),
            web.get("/people/{person}/messages", self._of(self.listen)),
            web.post("/people/{person}/messages", self._of(self.say)),
            web.post("/people/{person}/presses", self._of(self.press)),
            web.get("/people/{person}/documents/{message}", self._of(self.document)),
            web.get("/people/{person}/menu", self._of(self.menu)),
        ]

    async def introduce(self, request: web.Request) -> web.Response:
        """`{"name"}`: opens the person's chat with the bot."""
        try:
            said = await body_of(request)
            person = self._people.person(int(request.match_info["person"]), str(said.get("name") or "Ada"))
        except (TypeError, ValueError) as error:
            return wrong(str(error))
        return web.json_response({"id": person.id, "name": person.name})

    async def listen(self, person: Person, request: web.Request) -> web.Response:
        """`after`, `timeout`: the messages that are new or changed after this revision, as soon as there are any."""
        after, timeout = int(request.query.get("after", "0")), float(request.query.get("timeout", "0"))

        def changed() -> list[ChatMessage]:
            return [message for message in person.chat if message.revision > after]

        messages = await self._world.changes.until(changed, min(timeout, LONGEST_WAIT_SECONDS))
        revision = max((message.revision for message in messages), default=after)
        return web.json_response({"revision": revision, "messages": [told(message) for message in messages]})

    async def say(self, person: Person, request: web.Request) -> web.Response:
        """`{"text", "reply_to"}`: the id of the message."""
        said = await body_of(request)
        text, reply_to = str(said.get("text", "")), said.get("reply_to")
        sent = await (person.says(text) if reply_to is None else person.replies(int(reply_to), text))
        return web.json_response({"message_id": sent})

    async def press(self, person: Person, request: web.Request) -> web.Response:
        """`{"message_id", "button"}`, buttons counted from 1: the bot's answer, once it has come."""
        said = await body_of(request)
        wanted, number = said.get("message_id"), int(said.get("button", 0))
        message = next((one for one in person.chat if one.message_id == wanted), None)
        buttons = [] if message is None else [button for row in message.keyboard for button in row]
        if message is None or not 0 < number <= len(buttons):
            return wrong(f"the message {wanted} has no button {number}", 404)
        press = person.press(message, buttons[number - 1])
        await self._world.changes.until(lambda: press.answered, PATIENCE_SECONDS)
        return web.json_response({"answered": press.answered, "text": press.text, "alert": press.alert})

    async def document(self, person: Person, request: web.Request) -> web.Response:
        """The bytes of the document in this message."""
        wanted = int(request.match_info["message"])
        document = next((one.document for one in person.chat if one.message_id == wanted), None)
        if document is None:
            return wrong(f"the message {wanted} has no document", 404)
        return web.Response(body=document.content, content_type="application/octet-stream")

    async def menu(self, person: Person, _: web.Request) -> web.Response:
        """The commands that this person is shown, with their descriptions."""
        return web.json_response([{"command": name, "description": text} for name, text in person.menu])

    def _of(self, visit: Visit) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The visit of the person that the address names."""

        async def known(request: web.Request) -> web.StreamResponse:
            number = request.match_info["person"]
            person = self._people.known(int(number)) if number.isdecimal() else None
            if person is None:
                return wrong(f"nobody is introduced as {number}: POST /people/{number} first", 404)
            try:
                return await visit(person, request)
            except (TypeError, ValueError) as error:
                return wrong(str(error))

        return known


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object that a request carries; none is an empty one. Raises `ValueError`."""
    said = await request.json() if request.can_read_body else {}
    if not isinstance(said, dict):
        raise ValueError("a JSON object was expected")
    return said


def told(message: ChatMessage) -> dict[str, Any]:
    """A message as a person reads it."""
    return {
        "message_id": message.message_id,
        "from": message.sender.name,
        "from_bot": message.sender.is_bot,
        "text": message.text,
        "buttons": message.buttons,
        "document": message.document and message.document.name,
        "reply_to": message.reply_to,
        "edits": len(message.past),
        "revision": message.revision,
    }


def wrong(what: str, status: int = 400) -> web.Response:
    return web.json_response({"error": what}, status=status)
