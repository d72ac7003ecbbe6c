"""`python -m examples.bot` and `python -m examples.bot.with_stand_ins` as a person runs them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from examples.bot.stand_ins.anthropic import AnthropicStandIn
from examples.bot.stand_ins.telegram import TelegramStandIn
from examples.bot.stand_ins.telegram.server import HOST, PORT
from examples.bot.stand_ins.telegram.visitor import Visitor
from tests.fixtures.polling import eventually
from tests.fixtures.processes import using
from tests.fixtures.reference_bot import OWN, ROOT
from tests.fixtures.servers import free_port
from tracequeue_worker.embedded.postgres import embedded_postgres

SECRET = "123456:a-secret-token"
STARTED = "Run polling for bot"


class Program:
    """A module of the bot as a process in a folder, with what it writes in files there."""

    def __init__(self, folder: Path, module: str, **variables: str) -> None:
        machine = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        self._out, self._err = folder / "stdout", folder / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", module], cwd=folder, stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                env=machine | {"PYTHONPATH": str(ROOT)} | variables,
            )  # fmt: skip

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    async def says(self, text: str) -> None:
        await eventually(lambda: text in self.err or self.process.poll() is not None, 120)
        assert self.process.poll() is None, self.err

    async def ended(self) -> int:
        await eventually(lambda: self.process.poll() is not None, 120)
        return self.process.returncode


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts a program in the folder of the test. At the end nothing that works there may live."""

    def make(module: str, **variables: str) -> Program:
        return Program(tmp_path, module, **variables)

    yield make
    left = using(tmp_path)
    for process in left:
        process.kill()
    assert left == []


@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        ({}, 2, "TELEGRAM_TOKEN is not set"),
        ({"TELEGRAM_TOKEN": SECRET}, 2, "neither ANTHROPIC_API_KEY nor OPENROUTER_API_KEY is set"),
        ({"TELEGRAM_TOKEN": SECRET, "ANTHROPIC_API_KEY": "k", "TRACEQUEUE_REDIS_URL": "http://x"}, 2, "TRACEQUEUE_RED"),
        (
            {"TELEGRAM_TOKEN": SECRET, "ANTHROPIC_API_KEY": "k", "USERS_FILE": "/dev/null/x"},
            2,
            "USERS_FILE=/dev/null/x",
        ),
    ],
)
async def test_a_setting_that_is_missing_or_wrong_is_one_line(
    start: Any, variables: dict[str, str], code: int, said: str
) -> None:
    program = start("examples.bot", **variables)
    assert await program.ended() == code
    assert program.err.startswith(said)
    assert program.err.count("\n") == 1
    assert "secret" not in program.err


async def test_a_token_that_telegram_does_not_know_and_a_telegram_that_is_away(start: Any) -> None:
    async with TelegramStandIn.running() as telegram:
        known = {"TELEGRAM_TOKEN": SECRET, "ANTHROPIC_API_KEY": "k"}
        program = start("examples.bot", **known, TELEGRAM_API_URL=telegram.url)
        assert (await program.ended(), "Telegram does not know this TELEGRAM_TOKEN" in program.err) == (2, True)
        assert "Traceback" not in program.err
    program = start("examples.bot", **known, TELEGRAM_API_URL=f"http://127.0.0.1:{free_port()}")
    assert (await program.ended(), "check the network, or TELEGRAM_API_URL" in program.err) == (3, True)
    assert "Traceback" not in program.err
    assert "secret" not in program.err


async def test_with_stand_ins_it_answers_and_all_is_stored_when_it_ends(start: Any, tmp_path: Path) -> None:
    program = start("examples.bot.with_stand_ins")
    await program.says(STARTED)
    assert re.findall(r"^export (TRACEQUEUE_\w+)=", program.out, re.MULTILINE) == [
        "TRACEQUEUE_REDIS_URL", "TRACEQUEUE_DATABASE_URL",
    ]  # fmt: skip
    elsewhere = re.search(r"--url (\S+)", program.err)
    url = elsewhere[1] if elsewhere else f"http://{HOST}:{PORT}"
    async with Visitor.introduced(url, 42, "Ada") as ada:
        await ada.says("/learn swimming")
        answer = await heard(ada, "swimming")
        await ada.says("Why is the sky blue?")
        await heard(ada, after=answer)
        program.process.send_signal(signal.SIGTERM)
    assert await program.ended() == 0
    assert "Traceback" not in program.err
    assert using(tmp_path) == []
    with embedded_postgres(tmp_path / ".tracequeue") as database_url:
        connection = await asyncpg.connect(database_url)
        rows = await connection.fetch(
            "SELECT pipeline_name, status, span_count FROM pipeline_traces ORDER BY start_time"
        )
        spans = await connection.fetchval("SELECT count(*) FROM pipeline_spans")
        await connection.close()
    assert [tuple(row) for row in rows] == [("learn", "ok", 5), ("support", "ok", 5)]
    assert spans == 10


async def test_services_that_the_environment_names_are_used_instead_of_stand_ins(
    start: Any, command: Any, prefix: str
) -> None:
    async with TelegramStandIn.running() as telegram, AnthropicStandIn.running() as claude:
        servers = {name: value for name, value in command.environment.items() if name.startswith("TRACEQUEUE_")}
        program = start(
            "examples.bot.with_stand_ins",
            **servers,
            TELEGRAM_TOKEN=telegram.token,
            TELEGRAM_API_URL=telegram.url,
            ANTHROPIC_API_KEY=claude.key,
            ANTHROPIC_BASE_URL=claude.url,
        )
        ada = telegram.person(42, "Ada")
        await ada.says("/learn swimming")
        await ada.hears("swimming", timeout=120)
        program.process.send_signal(signal.SIGINT)
        assert await program.ended() == 0
        assert len(claude.calls) == 2
    assert "export" not in program.out
    assert "talk" not in program.err
    (trace,) = command("traces", "--json").document
    assert (trace["pipeline_name"], trace["completeness"]) == ("learn", "complete")


async def heard(visitor: Visitor, part: str = "", after: int = 0) -> int:
    """Wait until a message of the bot, behind the message `after`, contains this. Returns its id."""
    revision = 0
    while True:
        revision, messages = await visitor.news(revision)
        for message in messages:
            if message["from_bot"] and message["message_id"] > after and part in message["text"]:
                return int(message["message_id"])
