"""What the stand-ins for providers of language models share: the server, scripted faults, the course of an answer."""

import asyncio
import hmac
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, ClassVar, Self

from aiohttp import web

from examples.bot.stand_ins.answers import CHARACTERS_PER_TOKEN, answer, chunks, token_count
from examples.bot.stand_ins.exchange import Fault, Question, Refused, Reply

HOST = "127.0.0.1"
SUCCESS = 200
ORDERED = re.compile(r"(?:^|\s)!([45]\d\d)\b")


class ProviderStandIn(ABC):
    """A provider's HTTP API on loopback. `url` is its base URL for the SDK, `key` the one API key that it accepts.

    `calls` are the bodies of the requests so far, refused ones too; keys are in headers and are kept nowhere.
    `pause` are the seconds before each chunk of a stream, and before an answer that comes whole.
    """

    path: ClassVar[str]
    """The one path that answers, below the host."""
    base_path: ClassVar[str]
    """The part of `path` that belongs to the base URL."""
    whole_answers_break: ClassVar[bool] = False
    """Whether an answer that does not stream may be the status 200 with an error in its body."""

    def __init__(self, key: str, pause: float) -> None:
        self.key, self.pause = key, pause
        self.url = ""
        self.calls: list[dict[str, Any]] = []
        self._faults: list[Fault] = []
        self._cached: set[tuple[str, str]] = set()
        self._numbers = count(1)

    @classmethod
    @asynccontextmanager
    async def running(cls, *, port: int = 0, key: str = "stand-in-key", pause: float = 0.01) -> AsyncIterator[Self]:
        """Serve on `port` of 127.0.0.1, or on a free one."""
        stand_in = cls(key, pause)
        application = web.Application()
        application.router.add_post(cls.path, stand_in._handle)
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
            stand_in.url = f"http://{HOST}:{runner.addresses[0][1]}{cls.base_path}"
            yield stand_in
        finally:
            await runner.cleanup()

    def fail(
        self,
        status: int | None,
        *,
        times: int = 1,
        retry_after: float | None = None,
        midstream: bool = False,
        delay: float = 0,
    ) -> None:
        """Let the next `times` calls fail with an HTTP status, after `delay` seconds. Scripts queue up.

        A status of None cuts the connection; 200 fails nothing, so that with a delay the answer is only late.
        `retry_after` are seconds, for the header. With `midstream` a call fails when the status 200 is out: a stream
        after its first chunk, a whole answer by an error in its body, or if the API knows no such thing, not.
        """
        self._faults.append(Fault(status, times, retry_after, midstream, delay))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            question = await self._understood(request)
        except Refused as refused:
            return self._error(refused.status, str(refused))
        fault = self._next_fault(question) or _asked_for(question)
        if fault is not None:
            await asyncio.sleep(fault.delay)
            if fault.status != SUCCESS and not (fault.midstream and question.streamed):
                return self._failed(request, fault)
        reply = self._replied(question)
        if question.streamed:
            return await self._stream(request, reply, fault if fault is not None and fault.midstream else None)
        await asyncio.sleep(self.pause)
        return web.json_response(self._whole(reply), headers=self._headers(reply.number))

    async def _understood(self, request: web.Request) -> Question:
        try:
            body = await request.json()
        except ValueError:
            raise Refused(400, "the request body is not valid JSON") from None
        self.calls.append(body)
        given = self._given_key(request)
        if given is None:
            raise Refused(401, "no API key was given")
        if not hmac.compare_digest(given.encode(), self.key.encode()):
            raise Refused(401, "the API key is not valid")
        return self._question(request, body)

    def _next_fault(self, question: Question) -> Fault | None:
        for fault in self._faults:
            if question.streamed or self.whole_answers_break or not fault.midstream:
                fault.times -= 1
                if not fault.times:
                    self._faults.remove(fault)
                return fault
        return None

    def _failed(self, request: web.Request, fault: Fault) -> web.Response:
        if fault.status is None:
            _cut(request)
            return web.Response()
        response = self._error(fault.status, "scripted to fail")
        if fault.midstream:
            response.set_status(SUCCESS)
        if fault.retry_after is not None:
            response.headers["Retry-After"] = f"{fault.retry_after:g}"
        return response

    def _error(self, status: int, message: str) -> web.Response:
        number = next(self._numbers)
        return web.json_response(
            self._error_body(status, message, number), status=status, headers=self._headers(number)
        )

    def _replied(self, question: Question) -> Reply:
        whole = answer(question.prompt, question.system)
        text = whole if question.max_tokens is None else whole[: question.max_tokens * CHARACTERS_PER_TOKEN]
        prefix, known = token_count(question.prefix), (question.model, question.prefix) in self._cached
        self._cached.add((question.model, question.prefix))
        return Reply(
            number=next(self._numbers),
            model=question.model,
            text=text,
            cut=len(text) < len(whole),
            fresh=token_count(question.rest),
            read=prefix if known else 0,
            written=0 if known else prefix,
            output=token_count(text),
        )

    async def _stream(self, request: web.Request, reply: Reply, fault: Fault | None) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", **self._headers(reply.number)}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(self._opening(reply))
        for chunk in chunks(reply.text):
            await asyncio.sleep(self.pause)
            await response.write(self._chunk(reply, chunk))
            if fault is not None and fault.status != SUCCESS:
                if fault.status is None:
                    _cut(request)
                else:
                    await response.write(self._broken(reply, fault.status))
                return response
        await response.write(self._closing(reply))
        return response

    @abstractmethod
    def _given_key(self, request: web.Request) -> str | None: ...

    @abstractmethod
    def _question(self, request: web.Request, body: object) -> Question:
        """Raises `Refused` for what the API would refuse."""

    @abstractmethod
    def _headers(self, number: int) -> dict[str, str]: ...

    @abstractmethod
    def _error_body(self, status: int, message: str, number: int) -> dict[str, Any]: ...

    @abstractmethod
    def _whole(self, reply: Reply) -> dict[str, Any]:
        """The JSON of an answer that comes whole."""

    @abstractmethod
    def _opening(self, reply: Reply) -> bytes:
        """What a stream says before the first chunk."""

    @abstractmethod
    def _chunk(self, reply: Reply, text: str) -> bytes: ...

    @abstractmethod
    def _closing(self, reply: Reply) -> bytes:
        """What a stream says after the last chunk."""

    @abstractmethod
    def _broken(self, reply: Reply, status: int) -> bytes:
        """The error in a stream whose HTTP status has been sent already."""


def _asked_for(question: Question) -> Fault | None:
    """What somebody who talks with a bot may order: `!503` in the text makes every provider answer so."""
    ordered = ORDERED.search(question.prompt)
    return None if ordered is None else Fault(int(ordered[1]), 1, None, False, 0)


def bearer(request: web.Request) -> str | None:
    """The key in the header `Authorization`, if there is one."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key if scheme == "Bearer" and key else None


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
