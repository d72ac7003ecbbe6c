"""`/slow`: what took long, and percentiles by pipeline and by span."""

from collections.abc import Iterator, Sequence

from aiogram import Bot
from aiogram.filters import CommandObject
from aiogram.types import Message

from tracequeue_worker.read_models import Statistics
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.telegram.answers import send
from tracequeue_worker.telegram.arguments import recent
from tracequeue_worker.telegram.lines import Line, line, mono
from tracequeue_worker.telegram.shown import heading, trace_lines
from tracequeue_worker.trace_tree import duration, shortened

TAKES = ("pipeline", "period")
SLOWEST = 5
NAMES = 20


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


def _percentiles(title: str, found: Sequence[Statistics]) -> Iterator[Line]:
    """A table of the slowest names, each above its figures: a phone shows about forty characters."""
    if not found:
        return
    ordered = sorted(found, key=lambda one: -one.p95_ms)
    yield heading(title)
    yield mono(f"{'p50':>9} {'p95':>9} {'p99':>9}  count")
    for one in ordered[:NAMES]:
        times = " ".join(f"{duration(value):>9}" for value in (one.p50_ms, one.p95_ms, one.p99_ms))
        yield mono(shortened(one.name))
        yield mono(f"{times} {one.count:>6}")
    if len(ordered) > NAMES:
        yield line(f"and {len(ordered) - NAMES} more that are faster")
