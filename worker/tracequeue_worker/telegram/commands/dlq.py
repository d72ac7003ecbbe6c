"""`/dlq`: dead letters by group, one of them as it is, and a group on its way again behind a canary."""

from collections.abc import Iterator
from typing import Literal

from aiogram import Bot
from aiogram.filters import CommandObject
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from tracequeue_worker.dead_letters.facts import readable
from tracequeue_worker.dead_letters.hidden import without_secrets
from tracequeue_worker.dead_letters.reader import DeadLetter, DeadLetters, Group, Selection
from tracequeue_worker.dead_letters.retry import Campaign, Retry
from tracequeue_worker.telegram.access import private_chat
from tracequeue_worker.telegram.answers import acknowledge, edit, send, tell
from tracequeue_worker.telegram.arguments import parsed
from tracequeue_worker.telegram.lines import Line, bold, code, line, mono
from tracequeue_worker.telegram.outages import OUTAGES, outage
from tracequeue_worker.telegram.shown import counted, heading
from tracequeue_worker.telegram.sources import TraceStreams, given

SHOWN = 8
GONE = "this group has no dead letters any more: /dlq shows what there is"


class Ask(CallbackData, prefix="tqd"):
    """What a button means: show one letter, ask whether to retry, retry, or leave it."""

    wish: Literal["show", "ask", "retry", "leave"]
    group: str


async def dlq(message: Message, command: CommandObject, bot: Bot, trace_streams: TraceStreams | None = None) -> None:
    parsed(command.args, takes=())
    groups = await _letters(given(trace_streams)).groups()
    if not groups:
        await send(bot, message.chat.id, [line("no dead letters")])
        return
    lines = [heading("Dead letters", counted(sum(group.count for group in groups), "record"))]
    for number, group in enumerate(groups[:SHOWN], 1):
        lines += _group_lines(number, group)
    if len(groups) > SHOWN:
        lines.append(line(f"and {counted(len(groups) - SHOWN, 'smaller group')}: tracequeue dlq list"))
    rows = [
        _row(("show", f"Show {number}"), ("ask", f"Retry {number}"), group=group.id)
        for number, group in enumerate(groups[:SHOWN], 1)
    ]
    await send(bot, message.chat.id, lines, buttons=InlineKeyboardMarkup(inline_keyboard=rows), name="dlq")


async def show_one(
    press: CallbackQuery, callback_data: Ask, bot: Bot, trace_streams: TraceStreams | None = None
) -> None:
    """The newest of the group."""
    newest: DeadLetter | None = None
    async for letter in _letters(given(trace_streams)).chosen(Selection(group=callback_data.group)):
        newest = letter
    await acknowledge(press, GONE if newest is None else None)
    if newest is not None and press.message is not None:
        await send(bot, private_chat(press), list(_letter_lines(newest)), name=f"dead-letter-{newest.entry_id}")


async def ask_first(
    press: CallbackQuery, callback_data: Ask, bot: Bot, trace_streams: TraceStreams | None = None
) -> None:
    groups = await _letters(given(trace_streams)).groups()
    group = next((one for one in groups if one.id == callback_data.group), None)
    await acknowledge(press, GONE if group is None else None)
    if group is None or press.message is None:
        return
    lines = [
        line(
            bold(f"Retry {counted(group.count, 'dead letter')}?"), " ", code(group.reason), ": ", code(group.error, 300)
        ),
        line("One goes first. The others follow only if it is stored."),
    ]
    row = _row(("retry", "Retry"), ("leave", "Leave"), group=group.id)
    await send(bot, private_chat(press), lines, buttons=InlineKeyboardMarkup(inline_keyboard=[row]))


async def retry(press: CallbackQuery, callback_data: Ask, bot: Bot, trace_streams: TraceStreams | None = None) -> None:
    """The message says how it goes, and how it went. Pressed twice, each letter is sent once all the same."""
    await acknowledge(press)
    if not isinstance(press.message, Message):
        return
    streams = given(trace_streams)
    await edit(bot, press.message, [line("one dead letter is on its way, the others wait for it …")])
    campaign = Campaign(Retry(streams.client, streams.membership), canaries=1, seconds=streams.canary_seconds)
    ended = []
    try:
        await campaign.run(_letters(streams).chosen(Selection(group=callback_data.group)))
    except OUTAGES as error:
        ended = [line("⚠️ ", outage(error)), line("what was not sent is still there: /dlq")]
    await tell(bot, press.message, [*_outcome(campaign), *ended])


async def leave(press: CallbackQuery, bot: Bot) -> None:
    await acknowledge(press)
    if isinstance(press.message, Message):
        await edit(bot, press.message, [line("left as it is: /dlq")])


def _letters(streams: TraceStreams) -> DeadLetters:
    return DeadLetters(streams.client, streams.membership)


def _group_lines(number: int, group: Group) -> Iterator[Line]:
    emitters = f" of {counted(len(group.emitters), 'emitter')}" if group.emitters else ""
    yield line(bold(f"{number}."), f" {group.count:,}{emitters} ", code(group.reason))
    yield line(code(group.error, 300))


def _letter_lines(letter: DeadLetter) -> Iterator[Line]:
    yield heading("Dead letter", letter.id)
    for name, value in readable(letter.facts):
        yield line(code(name, 40), " ", code(value, 600))
    for content in without_secrets(letter.content()).splitlines():
        yield mono(content)


def _outcome(campaign: Campaign) -> Iterator[Line]:
    fates = campaign.fates
    if fates is not None and fates.dead:
        yield line("the first is a dead letter again, the others were left as they are:")
        yield line(code(fates.dead[0][1], 600))
    elif fates is not None and fates.unknown:
        yield line("the first is not settled yet, the others were left as they are: is a worker running? /lag")
    elif campaign.sent:
        yield line(
            f"✅ {counted(campaign.sent, 'dead letter')} retried, the first is stored: /dlq shows whether any came back"
        )
    if campaign.gone:
        yield line(f"{counted(campaign.gone, 'dead letter')} taken by somebody else meanwhile")
    for why, count in campaign.stays.items():
        yield line(f"{counted(count, 'dead letter')} not retried: ", code(why, 300))
    if not (campaign.sent or campaign.gone or campaign.stays):
        yield line(GONE)


def _row(*wishes: tuple[Literal["show", "ask", "retry", "leave"], str], group: str) -> list[InlineKeyboardButton]:
    return [
        InlineKeyboardButton(text=label, callback_data=Ask(wish=wish, group=group).pack()) for wish, label in wishes
    ]
