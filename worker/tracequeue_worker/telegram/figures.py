"""`/slow` and `/failed`: what took long, and what did not end well."""

from collections.abc import Iterator, Sequence

from aiogram import Bot
from aiogram.filters import CommandObject
from aiogram.types import Message

from tracequeue_worker.read_models import Failure, Statistics
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.telegram.answers import send
from tracequeue_worker.telegram.arguments import recent
from tracequeue_worker.telegram.lines import Line, code, command, line, mono
from tracequeue_worker.telegram.shown import clock, counted, heading, mark, people_counted, trace_lines
from tracequeue_worker.trace_tree import duration, shortened

TAKES = ("pipeline", "period")
SLOWEST = 5
GROUPS = 10
NAMES = 20
PIPELINES = 5


async def slow(message: Message, command: CommandObject, bot: Bot, trace_repo: TraceRepo) -> None:
    question, since = recent(command.args, takes=TAKES)
    pipeline = question.pipeline
    slowest = await trace_repo.get_slowest(since=since, pipeline=pipeline, limit=SLOWEST)
    lines = [heading("Slowest traces (UTC)", question.text)]
    for trace in slowest:
        lines += trace_lines(trace)
    if not slowest:
        lines.append(line("no trace ended here"))
    lines += _percentiles("By pipeline", await trace_repo.stats(since=since, pipeline=pipeline))
    lines += _percentiles("By span", await trace_repo.stats(by="span", since=since, pipeline=pipeline))
    await send(bot, message.chat.id, lines, name="slow")


async def failed(message: Message, command: CommandObject, bot: Bot, trace_repo: TraceRepo) -> None:
    question, since = recent(command.args, takes=TAKES)
    failures = await trace_repo.get_failures(since=since, pipeline=question.pipeline, limit=GROUPS)
    lines = [heading("Failures (UTC)", question.text)]
    for failure in failures:
        lines += _failure(failure)
    await send(bot, message.chat.id, lines if failures else [*lines, line("no trace failed here")], name="failed")


def _percentiles(title: str, found: Sequence[Statistics]) -> Iterator[Line]:
    """A table of the slowest names, which stand at the end: a phone is narrow."""
    if not found:
        return
    ordered = sorted(found, key=lambda one: -one.p95_ms)
    yield heading(title)
    yield mono(f"{'p50':>8} {'p95':>8} {'p99':>8} {'count':>5} name")
    for one in ordered[:NAMES]:
        times = " ".join(f"{duration(value):>8}" for value in (one.p50_ms, one.p95_ms, one.p99_ms))
        yield mono(f"{times} {one.count:>5} {shortened(one.name)}")
    if len(ordered) > NAMES:
        yield line(f"and {len(ordered) - NAMES} more that are faster")


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
