"""`/lag`: what waits in the streams, and how fast it is stored."""

from collections.abc import Iterator, Sequence

from aiogram import Bot
from aiogram.filters import CommandObject
from aiogram.types import Message

from tracequeue_worker.backlog import Backlog, read_backlog
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.telegram.answers import send
from tracequeue_worker.telegram.arguments import parsed
from tracequeue_worker.telegram.lines import Line, line
from tracequeue_worker.telegram.outages import OUTAGES, outage
from tracequeue_worker.telegram.shown import counted, heading
from tracequeue_worker.telegram.sources import TraceStreams, given


async def lag(
    message: Message, command: CommandObject, bot: Bot, trace_repo: TraceRepo, trace_streams: TraceStreams | None = None
) -> None:
    """Of a database that is away it says so, and still what waits for it."""
    parsed(command.args, takes=())
    streams = given(trace_streams)
    backlogs = await read_backlog(streams.client, streams.membership)
    try:
        stored = f"stored in the last minute: {await trace_repo.get_rate():.1f} events/s"
    except OUTAGES as error:
        stored = f"⚠️ {outage(error)}"
    await send(bot, message.chat.id, [heading("Backlog"), *_lines(backlogs), line(stored)])


def _lines(backlogs: Sequence[Backlog]) -> Iterator[Line]:
    for one in backlogs:
        if len(backlogs) > 1:
            yield heading(f"Partition {one.partition}")
        oldest = "" if one.oldest_seconds is None else f", the oldest {one.oldest_seconds:.1f} s old"
        yield line(f"{counted(one.unread, 'frame')} unread, {one.pending} pending{oldest}")
        workers = counted(one.consumers, "worker") if one.consumers else "⚠️ no worker"
        yield line(f"{workers}, {counted(one.dead_letters, 'dead letter')}", ": /dlq" if one.dead_letters else "")
