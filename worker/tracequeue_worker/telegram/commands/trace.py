"""`/trace`: one trace as a tree with timings, errors and models; with `io` also what went in and came out."""

import asyncio
from collections.abc import Iterator, Sequence
from uuid import UUID

from aiogram import Bot
from aiogram.filters import CommandObject
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from tracequeue_worker.printable import one_line
from tracequeue_worker.read_models import Span, Trace
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.telegram.access import private_chat
from tracequeue_worker.telegram.answers import acknowledge, send
from tracequeue_worker.telegram.arguments import WrongArgument
from tracequeue_worker.telegram.lines import Line, code, line, mono
from tracequeue_worker.telegram.shown import counted, mark
from tracequeue_worker.trace_tree import duration, origin_of, trace_text

PAYLOADS = "io"
LONGEST_ERROR = 1000
MOST_SPANS = 2_000
"""Beyond, nobody reads it on a phone."""


class Payloads(CallbackData, prefix="tqio"):
    """The button that shows a trace again, with inputs and outputs."""

    trace_id: UUID


async def trace(message: Message, command: CommandObject, bot: Bot, trace_repo: TraceRepo) -> None:
    """`/trace ID`, or `/trace_HEX` as lists have it."""
    words = [*(command.regexp_match or {1: ""})[1].split(), *(command.args or "").split()]
    with_payloads = PAYLOADS in words[1:]
    wrong = [word for word in words[1:] if word != PAYLOADS]
    if not words or wrong:
        raise WrongArgument(f"give me the id of a trace, and perhaps {PAYLOADS}; /traces lists some")
    await show(bot, message.chat.id, trace_repo, _trace_id(words[0]), with_payloads=with_payloads)


async def payloads(press: CallbackQuery, callback_data: Payloads, bot: Bot, trace_repo: TraceRepo) -> None:
    await acknowledge(press)
    if press.message is not None:
        await show(bot, private_chat(press), trace_repo, callback_data.trace_id, with_payloads=True)


async def show(
    bot: Bot, chat_id: int, repo: TraceRepo, trace_id: UUID, *, with_payloads: bool = False, above: Sequence[Line] = ()
) -> None:
    """Send the trace, below some lines; or that it is not stored."""
    found = await repo.get_trace(trace_id)
    spans = await repo.get_spans_for_trace(trace_id, limit=MOST_SPANS, payloads=with_payloads)
    if found is None:
        arrived = f", but {counted(len(spans), 'span')} of it" if spans else ""
        await send(bot, chat_id, [line(f"trace {trace_id} is not stored{arrived}: /lag shows what still waits")])
        return
    tree = await asyncio.to_thread(_tree, found, spans, with_payloads)  # the bot goes on meanwhile
    buttons = None if with_payloads or not spans else _payloads_button(trace_id)
    await send(bot, chat_id, [*above, *_heading(found), *tree], buttons=buttons, name=f"trace-{trace_id}")


def _tree(found: Trace, spans: Sequence[Span], with_payloads: bool) -> list[Line]:
    lines = [mono(text) for text in trace_text(found, spans, with_payloads=with_payloads)]
    if len(spans) == MOST_SPANS:
        lines.append(line(f"These are the first {MOST_SPANS:,} spans: `tracequeue trace` on a terminal has all"))
    return lines


def _trace_id(word: str) -> UUID:
    try:
        return UUID(word)
    except ValueError:
        raise WrongArgument(f"{one_line(word)[:60]} is not the id of a trace: /traces lists some") from None


def _heading(trace: Trace) -> Iterator[Line]:
    facts = [trace.state, duration(trace.duration_ms), counted(trace.stored_spans, "span")]
    facts += [f"id={trace.telegram_id}"] if trace.telegram_id is not None else []
    yield line(mark(trace.state), " ", code(trace.pipeline_name), f" {' · '.join(facts)}")
    yield line(code(trace.trace_id), f" {trace.start_time:%Y-%m-%d %H:%M:%S} UTC")
    origin = origin_of(trace)
    if origin is not None:
        yield line(f"called from /trace_{origin.hex}")
    if trace.completeness != "complete":
        yield line(trace.completeness, *(": ", code(trace.missing, LONGEST_ERROR)) if trace.missing else ())
    if trace.error:
        yield line(code(trace.error, LONGEST_ERROR))


def _payloads_button(trace_id: UUID) -> InlineKeyboardMarkup:
    button = InlineKeyboardButton(text="Inputs and outputs", callback_data=Payloads(trace_id=trace_id).pack())
    return InlineKeyboardMarkup(inline_keyboard=[[button]])
