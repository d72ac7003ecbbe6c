"""`/failed`: what did not end well, grouped by what the errors have in common."""

from collections.abc import Iterator

from aiogram import Bot
from aiogram.filters import CommandObject
from aiogram.types import Message

from tracequeue_worker.read_models import Failure
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.telegram.answers import send
from tracequeue_worker.telegram.arguments import recent
from tracequeue_worker.telegram.lines import Line, code, command, line
from tracequeue_worker.telegram.shown import clock, counted, heading, mark, people_counted

TAKES = ("pipeline", "period")
GROUPS = 10
PIPELINES = 5


async def failed(message: Message, command: CommandObject, bot: Bot, trace_repo: TraceRepo) -> None:
    question, since = recent(command.args, takes=TAKES)
    failures = await trace_repo.get_failures(since=since, pipeline=question.pipeline, limit=GROUPS)
    lines = [heading("Failures (UTC)", question.text)]
    for failure in failures:
        lines += _failure(failure)
    await send(bot, message.chat.id, lines if failures else [*lines, line("no trace failed here")], name="failed")


def _failure(failure: Failure) -> Iterator[Line]:
    people = f" of {people_counted(failure.people)}" if failure.people else ""
    names = [piece for name in failure.pipelines[:PIPELINES] for piece in (" ", code(name, 40))]
    more = len(failure.pipelines) - PIPELINES
    yield line(
        f"{mark(failure.status)} {counted(failure.count, 'trace')}{people}, last {clock(failure.last_time)}:",
        *names,
        f" and {more} more" if more > 0 else "",
    )
    yield line(code(failure.error or "without an error", 300))
    yield line("for example ", command(f"/trace_{failure.trace_id.hex}"))
