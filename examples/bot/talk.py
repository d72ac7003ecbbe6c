"""A terminal as a Telegram client: `python -m examples.bot.talk` talks with the bot through the stand-in.

A line is said to the bot; a number alone presses the button with that number; `reply N text` answers message N.
Documents are saved in a temporary folder. Lines may also come through a pipe: then each waits until the bot's
answers to the one before have settled, and the end of the input is the end of the talk.
"""

import argparse
import asyncio
import os
import re
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import aiohttp

from examples.bot.stand_ins.telegram.screen import Screen
from examples.bot.stand_ins.telegram.server import HOST, PORT
from examples.bot.stand_ins.telegram.visitor import Unwelcome, Visitor

REPLY = re.compile(r"reply\s+(\d+)\s+(.+)", re.IGNORECASE | re.DOTALL)
GREETING: Final = """You are {name}. What you type is said to the bot; a number alone presses that button;
`reply N text` answers message N; Ctrl-C ends it.
"""
CHUNK_BYTES: Final = 65_536
FAILED: Final = 3
"""The exit code where no stand-in can be reached, as elsewhere in this project."""


def main() -> int:
    arguments = parsed_arguments()
    try:
        asyncio.run(talk(arguments))
    except KeyboardInterrupt:
        sys.stdout.write("\n")
    except Unwelcome as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except aiohttp.ClientError:
        sys.stderr.write(f"the stand-in at {arguments.url} is gone\n")
        return FAILED
    return 0


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.bot.talk", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--as", dest="person", type=int, default=42, metavar="ID", help="who talks (default 42)")
    parser.add_argument("--name", default="Ada", help="under which name (default Ada)")
    parser.add_argument("--url", default=f"http://{HOST}:{PORT}", help="of the stand-in (default %(default)s)")
    parser.add_argument(
        "--quiet", type=float, default=2.0, metavar="SECONDS",
        help="input through a pipe: answers have settled when nothing came for so long (default 2)",
    )  # fmt: skip
    parser.add_argument(
        "--patience", type=float, default=30.0, metavar="SECONDS",
        help="input through a pipe: how long to wait for an answer at all (default 30)",
    )  # fmt: skip
    return parser.parse_args()


async def talk(arguments: argparse.Namespace) -> None:
    """Until the end of the input, or until the stand-in is gone."""
    async with Visitor.introduced(arguments.url, arguments.person, arguments.name) as visitor:
        screen = Screen(visitor, sys.stdout)
        listening = asyncio.create_task(screen.listen(), name="listen to the bot")
        talking = asyncio.create_task(converse(visitor, screen, arguments), name="talk to the bot")
        try:
            done, _ = await asyncio.wait({listening, talking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
            talking.cancel()
            await asyncio.gather(listening, talking, return_exceptions=True)
        for task in done:
            task.result()


async def converse(visitor: Visitor, screen: Screen, arguments: argparse.Namespace) -> None:
    """Line by line."""
    piped = not sys.stdin.isatty()
    if not piped:
        sys.stdout.write(GREETING.format(name=arguments.name))
    presses: set[asyncio.Task[bool]] = set()
    await screen.caught_up.wait()
    async for line in lines():
        heard = screen.heard
        screen.typed(line, echo=piped)
        act = asyncio.create_task(said(visitor, screen, line), name="say a line")
        if piped:
            if await act:
                await settled(screen, heard, arguments.quiet, arguments.patience)
        else:
            presses.add(act)
            act.add_done_callback(presses.discard)


async def said(visitor: Visitor, screen: Screen, line: str) -> bool:
    """Do what a line means. What the stand-in refuses is told, and the talk goes on; false then."""
    try:
        if line.isdecimal():
            if (message_id := screen.buttons_of) is None:
                raise Unwelcome("there is no button to press yet")
            screen.answered(await visitor.presses(message_id, int(line)))
        elif reply := REPLY.fullmatch(line):
            await visitor.says(reply[2], reply_to=int(reply[1]))
        else:
            await visitor.says(line)
    except (Unwelcome, aiohttp.ClientError) as error:
        screen.note(str(error))
        return False
    return True


async def settled(screen: Screen, heard: int, quiet: float, patience: float) -> None:
    """Wait until something came since `heard`, and then nothing more for `quiet` seconds."""
    give_up = time.monotonic() + patience
    while screen.heard == heard and await screen.changes(give_up - time.monotonic()):
        pass
    while await screen.changes(quiet):
        pass


async def lines() -> AsyncIterator[str]:
    """The lines of the input that are not empty, read in a thread that does not hold up the end of the program."""
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        rest = b""
        with suppress(RuntimeError):  # the loop is closed: nobody talks any more
            while chunk := os.read(sys.stdin.fileno(), CHUNK_BYTES):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    loop.call_soon_threadsafe(queue.put_nowait, line.decode(errors="replace"))
            for last in (rest.decode(errors="replace"), None):
                loop.call_soon_threadsafe(queue.put_nowait, last)

    threading.Thread(target=read, name="read the input", daemon=True).start()
    while (line := await queue.get()) is not None:
        if line.strip():
            yield line.strip()


if __name__ == "__main__":
    sys.exit(main())
