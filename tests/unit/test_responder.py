"""The tiny HTTP server: what it answers, and that nothing that comes over a connection hurts another."""

import asyncio
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from tests.fixtures.polling import eventually
from tests.fixtures.probing import ask, exchange
from tracequeue.errors import SettingsError
from tracequeue_worker.health import responder
from tracequeue_worker.health.responder import Answer, answering

FINE = Answer(HTTPStatus.OK, "text/plain", b"fine\n")
ILL = Answer(HTTPStatus.SERVICE_UNAVAILABLE, "application/json", b"{}")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with answering("127.0.0.1", 0, {"/fine": lambda: FINE, "/ill": lambda: ILL}) as port:
        yield port


async def test_pages_are_answered_as_any_client_understands(port: int) -> None:
    def fetch(path: str) -> tuple[int, str, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as reply:
                return reply.status, reply.headers["Content-Type"], reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read()

    assert await asyncio.to_thread(fetch, "/fine?verbose=1") == (200, "text/plain", b"fine\n")
    assert await asyncio.to_thread(fetch, "/ill") == (503, "application/json", b"{}")
    status, _, body = await asyncio.to_thread(fetch, "/elsewhere")
    assert (status, b"/fine, /ill" in body) == (404, True)


async def test_head_has_no_body_and_the_length_of_one(port: int) -> None:
    reply = await ask(port, "/fine", "HEAD")
    assert (reply.status, reply.body) == (200, b"")
    assert "Content-Length: 5" in reply.head


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /fine HTTP/1.1\r\nContent-Length: 3\r\n\r\n", 405),
        (b"DELETE /fine HTTP/1.1\r\n\r\n", 405),
        (b"GET /fine HTTP/1.0\r\n\r\n", 200),
        (b"GET /fine\r\n\r\n", 400),
        (b"GET fine HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\n\r\n", 400),
        (b"get /fine HTTP/1.1\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /fine HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n", 431),
        (b"GET /fine HTTP/1.1\r\nX: " + b"\x00" * 1000 + b"\r\n\r\n", 200),
    ],
)
async def test_what_is_no_request_is_refused(port: int, request_: bytes, status: int) -> None:
    reply = await exchange(port, request_)
    assert reply.status in (status, 0 if len(request_) > 65_536 or status == 405 else status)
    assert (await ask(port, "/fine")).body == b"fine\n"


async def test_clients_that_never_finish_do_not_keep_a_probe_waiting(port: int) -> None:
    slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * responder.MOST_CONNECTIONS)]
    for _, writer in slow:
        writer.write(b"GET /fine HTT")
    for _ in range(10):
        assert (await ask(port, "/fine")).status == 200
    for _, writer in slow:
        writer.close()


async def test_an_unfinished_request_is_ended(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "SECONDS", 0.05)
    assert (await exchange(port, b"GET /fine HTT")).status == 0


async def test_a_reader_that_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responder, "SECONDS", 0.05)
    large = Answer(HTTPStatus.OK, "text/plain", b"x" * 50_000_000)
    asked = []

    def page() -> Answer:
        asked.append(None)
        return large

    async with answering("127.0.0.1", 0, {"/large": page, "/fine": lambda: FINE}) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /large HTTP/1.1\r\n\r\n")
            await eventually(lambda: asked)
            assert (await ask(port, "/fine")).status == 200

            def rest() -> int:
                size = 0
                try:
                    while data := client.recv(1 << 20):
                        size += len(data)
                except ConnectionError:
                    pass
                return size

            await eventually(lambda: not any("Responder.serve" in repr(task) for task in asyncio.all_tasks()))
            assert await asyncio.to_thread(rest) < 50_000_000


async def test_a_connection_that_is_reset_is_nobodys_trouble(port: int) -> None:
    for _ in range(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /fine HTTP/1.1\r\n\r\n")
        writer.transport.abort()
        del reader
    assert (await ask(port, "/fine")).status == 200


async def test_a_port_that_is_taken_is_said(port: int) -> None:
    with pytest.raises(SettingsError, match=f"TRACEQUEUE_HEALTH_PORT={port}: .*in use.*choose another port"):
        async with answering("127.0.0.1", port, {}):
            pass


async def test_a_host_that_is_not_here_is_said() -> None:
    with pytest.raises(SettingsError, match="cannot listen on"):
        async with answering("192.0.2.1", 1, {}):
            pass
