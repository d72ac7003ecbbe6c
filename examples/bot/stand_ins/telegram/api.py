"""The Bot API over HTTP: `/bot<token>/<method>` and `/file/bot<token>/<path>`. The token is never logged."""

import asyncio
import logging
import secrets
from typing import Any, Final

from aiohttp import web

from examples.bot.stand_ins.telegram.faults import Fault, Faults
from examples.bot.stand_ins.telegram.methods import METHODS
from examples.bot.stand_ins.telegram.parameters import parameters_of
from examples.bot.stand_ins.telegram.refusals import NOT_FOUND, TOO_LARGE, UNAUTHORIZED, Refusal
from examples.bot.stand_ins.telegram.world import World

REQUEST_BYTES: Final = 64 * 1024 * 1024
"""Above the 50 MB of the largest document."""
INTERNAL_ERROR: Final = 500
logger = logging.getLogger(__name__)


class BotApi:
    """Reads a call, lets it meet the fault that is ordered for it, carries it out, and writes the answer."""

    def __init__(self, world: World, token: str, faults: Faults) -> None:
        self._world = world
        self._token = token
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", "/bot{token:[^/]+}/{method}", self.call),
            web.get("/file/bot{token:[^/]+}/documents/{file_id}", self.download),
        ]

    async def call(self, request: web.Request) -> web.Response:
        """One method. Whatever happens, the answer is JSON in the manner of the Bot API."""
        try:
            return answer(await self._result(request, request.match_info["method"]))
        except Refusal as refusal:
            return refused(refusal)
        except web.HTTPRequestEntityTooLarge:
            return refused(Refusal(TOO_LARGE, "Request Entity Too Large"))
        except Exception:
            logger.exception("the stand-in failed in %s", request.match_info["method"])
            return refused(Refusal(INTERNAL_ERROR, "Internal Server Error"))

    async def download(self, request: web.Request) -> web.Response:
        """The bytes of a document."""
        try:
            self._authorize(request)
            document = self._world.chats.document(request.match_info["file_id"])
        except Refusal as refusal:
            return refused(refusal)
        return web.Response(body=document.content, content_type="application/octet-stream")

    async def _result(self, request: web.Request, name: str) -> Any:
        self._authorize(request)
        method = METHODS.get(name.lower())
        if method is None:
            raise Refusal(NOT_FOUND, "Not Found: method not found")
        said = await parameters_of(request)
        self._world.calls.append((name.lower(), dict(said)))
        fault = self._faults.met(name, said)
        if fault is not None:
            await suffer(fault, request)
        result = await method(self._world, said)
        if fault is not None and fault.drop == "answer":
            break_off(request)
        return result

    def _authorize(self, request: web.Request) -> None:
        if not secrets.compare_digest(request.match_info["token"].encode(), self._token.encode()):
            raise Refusal(UNAUTHORIZED, "Unauthorized")


async def suffer(fault: Fault, request: web.Request) -> None:
    """What a fault does before the call is carried out."""
    if fault.delay:
        await asyncio.sleep(fault.delay)
    if fault.refusal is not None:
        raise fault.refusal
    if fault.drop == "request":
        break_off(request)
        raise Refusal(INTERNAL_ERROR, "Internal Server Error")


def break_off(request: web.Request) -> None:
    """End the connection; what is written to it afterwards goes nowhere."""
    if request.transport is not None:
        request.transport.abort()


def answer(result: Any) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def refused(refusal: Refusal) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": refusal.status, "description": refusal.description}
    if refusal.retry_after is not None:
        body["parameters"] = {"retry_after": refusal.retry_after}
    return web.json_response(body, status=refusal.status)
