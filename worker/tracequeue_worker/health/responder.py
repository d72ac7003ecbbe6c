"""A very small HTTP server for probes and scrapes: GET and HEAD of a few pages, one answer a connection.

It runs in the worker's event loop on purpose: a loop that is stuck answers nothing, and so fails its probe.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

from tracequeue.errors import SettingsError

HEAD_BYTES: Final = 8 * 1024
SECONDS: Final = 5.0
"""For a request to come and its answer to go."""
MOST_CONNECTIONS: Final = 64
"""Beyond it the oldest is cut: an honest probe is done long before it is the oldest."""
REQUEST: Final = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.[01]\r\n")
PLAIN: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page is at this moment."""

    status: HTTPStatus
    kind: str
    body: bytes


Pages: TypeAlias = Mapping[str, Callable[[], Answer]]
"""Path -> page."""


@asynccontextmanager
async def answering(host: str, port: int, pages: Pages) -> AsyncIterator[int]:
    """Serve the pages until the block is left; gives the port. Raises `SettingsError` where it cannot listen."""
    responder = Responder(pages)
    try:
        server = await asyncio.start_server(responder.serve, host, port, limit=HEAD_BYTES)
    except OSError as error:
        raise SettingsError(
            f"TRACEQUEUE_HEALTH_PORT={port}: cannot listen on {host}:{port}: {error.strerror or error}: "
            "choose another port, or end what holds it"
        ) from None
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        responder.close()


class Responder:
    """Answers connections, each within `SECONDS` and none after another on the same one."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._connections: dict[asyncio.StreamWriter, None] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection. What comes over it hurts nobody but itself."""
        self._connections[writer] = None
        if len(self._connections) > MOST_CONNECTIONS:
            self._cut(next(iter(self._connections)))
        try:
            async with asyncio.timeout(SECONDS):
                writer.write(await self._reply(reader))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):  # the time was up, or the other side has gone
            writer.transport.abort()
        finally:
            self._connections.pop(writer, None)
            writer.close()

    def close(self) -> None:
        for writer in list(self._connections):
            self._cut(writer)

    def _cut(self, writer: asyncio.StreamWriter) -> None:
        self._connections.pop(writer, None)
        writer.transport.abort()

    async def _reply(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _bytes(_plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        request = REQUEST.match(head)
        if request is None:
            return _bytes(_plain(HTTPStatus.BAD_REQUEST))
        method, path = request[1], request[2].partition(b"?")[0].decode()
        if method not in (b"GET", b"HEAD"):
            return _bytes(_plain(HTTPStatus.METHOD_NOT_ALLOWED))
        page = self._pages.get(path)
        answer = _plain(HTTPStatus.NOT_FOUND, f"there are {', '.join(self._pages)}\n") if page is None else page()
        return _bytes(answer, with_body=method == b"GET")


def _plain(status: HTTPStatus, more: str = "") -> Answer:
    return Answer(status, PLAIN, f"{status.phrase}\n{more}".encode())


def _bytes(answer: Answer, *, with_body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\nContent-Type: {answer.kind}\r\n"
        f"Content-Length: {len(answer.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (answer.body if with_body else b"")
