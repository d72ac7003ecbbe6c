"""`/why`, as a reply to a message of the bot: the trace that made the message. The answer comes in private."""

from datetime import UTC, datetime, timedelta

from aiogram import Bot
from aiogram.types import Message

from tracequeue_worker.read_models import Trace
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.telegram.access import private_chat
from tracequeue_worker.telegram.arguments import WrongArgument
from tracequeue_worker.telegram.commands.trace import show
from tracequeue_worker.telegram.lines import command, line
from tracequeue_worker.telegram.shown import trace_command

LONGEST_RUN = timedelta(hours=6)
"""How long before its message a trace may have started."""
CLOCK_DIFFERENCE = timedelta(minutes=5)
"""Between the bot's clock and Telegram's."""


async def why(message: Message, bot: Bot, trace_repo: TraceRepo) -> None:
    asked = message.reply_to_message
    if asked is None:
        raise WrongArgument("/why is a reply: reply with it to a message of mine, and I show the trace that made it")
    if asked.from_user is None or asked.from_user.id != bot.id:
        raise WrongArgument("that message is not mine: reply with /why to one that I sent")
    found = await _traces_of(trace_repo, bot.id, asked)
    if not found:
        raise WrongArgument(
            "no stored trace says that it sent this message. If it is new, its trace may still run, or wait to be "
            "stored: /lag shows what waits, /traces what is stored. Messages are noted where the bot is traced by "
            "tracequeue.integrations.aiogram"
        )
    others = [line("it also worked on this message: ", command(trace_command(one))) for one in found[1:]]
    await show(bot, private_chat(message), trace_repo, found[0].trace_id, above=others)


async def _traces_of(repo: TraceRepo, bot_id: int, message: Message) -> list[Trace]:
    """The traces that sent or edited the message, newest first: those around its last edit, else around its date."""
    moments = [message.date]
    if message.edit_date is not None:
        moments.insert(0, datetime.fromtimestamp(message.edit_date, UTC))
    for moment in moments:
        since, until = moment - LONGEST_RUN, moment + CLOCK_DIFFERENCE
        found = await repo.get_traces_of_message(bot_id, message.chat.id, message.message_id, since=since, until=until)
        if found:
            return found
    return []
