"""The pages about Telegram are true: the bot of docs/telegram.md runs, and the recording in README is what is shown."""

import asyncio
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from examples.bot.stand_ins.telegram import TelegramStandIn
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tracequeue.gen_ai import REQUEST_MODEL
from tracequeue_worker.read_models import Span, Trace
from tracequeue_worker.trace_tree import trace_text

ROOT = Path(__file__).resolve().parents[2]
SESSION = """
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
"""
TO_STAND_IN = 'Bot(os.environ["TELEGRAM_TOKEN"], session=AiohttpSession(api=TelegramAPIServer.from_base("{url}")))'


def bot_of_the_page(url: str) -> str:
    """As it stands there, but that it talks to the stand-in."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/telegram.md").read_text(), re.DOTALL)
    assert 'Bot(os.environ["TELEGRAM_TOKEN"])' in code
    return SESSION + code.replace('Bot(os.environ["TELEGRAM_TOKEN"])', TO_STAND_IN.format(url=url))


def test_the_recording_of_the_readme_has_the_form_of_what_is_shown() -> None:
    (recorded,) = re.findall(r"```\n(> reply.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    start = datetime.now(UTC)
    line = Span(
        trace_id=uuid4(), span_id="1", parent_span_id=None, span_name="agent:memory", kind=None, start_time=start,
        end_time=start, duration_ms=19.4, status="ok", success=True, error=None, input_data=None, output_data=None,
        attributes={REQUEST_MODEL: "claude"}, truncated=None, created_at=start,
    )  # fmt: skip
    (shown,) = trace_text(Trace.model_construct(start_time=start - timedelta(milliseconds=11.2)), [line])
    form = re.escape(shown).replace("└", "[├└]").replace("19\\.4", r"[\d.]+").replace("11\\.2", r"[\d.]+")
    form = form.replace("agent:memory", r"\w+:\w+").replace(r"\ claude", r"(?: [\w-]+)?")
    assert len(re.findall(rf"^[│ ]*{form}$", recorded, re.MULTILINE)) == 5, form


async def test_the_bot_of_the_page_is_traced_and_answers_its_admin(
    site: Site, telegram: TelegramStandIn, tmp_path: Path
) -> None:
    program = tmp_path / "bot.py"
    program.write_text(bot_of_the_page(telegram.url))
    variables = {
        "TELEGRAM_TOKEN": telegram.token, "TRACEQUEUE_REDIS_URL": site.redis_url, "TRACEQUEUE_PREFIX": site.prefix,
        "TRACEQUEUE_DATABASE_URL": site.database_url,
    }  # fmt: skip
    admin = telegram.person(42, "Ada")
    bot = await asyncio.create_subprocess_exec(sys.executable, "-P", str(program), env=os.environ | variables)
    try:
        async with site.working():
            await admin.says("hello")
            answer = await admin.hears("hello")
            await eventually(lambda: site.fetch("SELECT FROM pipeline_traces WHERE status = 'ok'"))
            assert "echo" in (await admin.hears("echo", after=await admin.replies(answer, "/why"))).text
            assert (await admin.hears("Backlog", after=await admin.says("/lag"))).text
    finally:
        bot.terminate()
        assert await bot.wait() == 0
