"""A person from another process: the client of the door `/people/...`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

POLL_SECONDS: Final = 25.0


class Unwelcome(Exception):
    """What the stand-in did not do, and why."""


class Visitor:
    """One person in a private chat with the bot. Messages are dicts as `visits.told` makes them."""

    def __init__(self, http: aiohttp.ClientSession, person_id: int) -> None:
        self._http = http
        self._person = f"/people/{person_id}"

    @classmethod
    @asynccontextmanager
    async def introduced(cls, url: str, person_id: int, name: str) -> AsyncIterator["Visitor"]:
        """Raises `Unwelcome` where no stand-in answers at the URL."""
        patience = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with aiohttp.ClientSession(url, timeout=patience) as http:
            try:
                async with http.post(f"/people/{person_id}", json={"name": name}) as response:
                    await answer(response)
            except aiohttp.ClientError as error:
                raise Unwelcome(f"no stand-in for Telegram answers at {url}: start it with `make bot`") from error
            yield cls(http, person_id)

    async def news(self, after: int, *, wait: bool = True) -> tuple[int, list[dict[str, Any]]]:
        """The messages that are new or changed after this revision, and up to which one that is."""
        query = {"after": str(after), "timeout": str(POLL_SECONDS if wait else 0)}
        async with self._http.get(f"{self._person}/messages", params=query) as response:
            said = await answer(response)
        return said["revision"], said["messages"]

    async def says(self, text: str, reply_to: int | None = None) -> None:
        async with self._http.post(f"{self._person}/messages", json={"text": text, "reply_to": reply_to}) as response:
            await answer(response)

    async def presses(self, message_id: int, button: int) -> str | None:
        """Presses the button with this number, from 1, and returns what the bot answers."""
        wanted = {"message_id": message_id, "button": button}
        async with self._http.post(f"{self._person}/presses", json=wanted) as response:
            said = await answer(response)
        if not said["answered"]:
            raise Unwelcome("the bot did not answer the button")
        text: str | None = said["text"]
        return text

    async def document(self, message_id: int) -> bytes:
        async with self._http.get(f"{self._person}/documents/{message_id}") as response:
            return await response.read() if response.ok else await answer(response)


async def answer(response: aiohttp.ClientResponse) -> Any:
    """What the stand-in says. Raises `Unwelcome` where it refuses."""
    try:
        said = await response.json()
    except (aiohttp.ContentTypeError, ValueError):
        raise Unwelcome(f"what answers at {response.url.origin()} is no stand-in for Telegram") from None
    if not response.ok:
        raise Unwelcome(said.get("error", f"HTTP {response.status}"))
    return said
