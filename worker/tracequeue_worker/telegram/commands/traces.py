"""`/traces`: a page of the list, newest first, and its buttons, which put the next page in its place.

A page keeps its own question: it stands in its first line, and a button has where the page ends. So nothing is
remembered between two presses, any number of admins may turn pages at once, and a restart of the bot disturbs nobody.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from aiogram import Bot
from aiogram.filters import CommandObject
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message
from pydantic import Field

from tracequeue_worker.conditions import END
from tracequeue_worker.read_models import Cursor, Trace
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.rows import EPOCH, microseconds
from tracequeue_worker.telegram.answers import acknowledge, edit, send
from tracequeue_worker.telegram.arguments import Question, WrongArgument, parsed
from tracequeue_worker.telegram.lines import Line, code, line
from tracequeue_worker.telegram.shown import heading, trace_lines

PAGE = 8
TITLE = "Traces, newest first (UTC)"
LATEST = (END - EPOCH) // timedelta(microseconds=1)


class Turn(CallbackData, prefix="tqp"):
    """What a button of a page carries: the trace beyond which the wanted page begins. At most 62 bytes of 64."""

    to: Literal["older", "newer"]
    start: Annotated[int, Field(ge=0, le=LATEST)]
    """Microseconds since the epoch."""
    trace_id: UUID

    @property
    def cursor(self) -> Cursor:
        return EPOCH + timedelta(microseconds=self.start), self.trace_id


async def traces(message: Message, command: CommandObject, bot: Bot, trace_repo: TraceRepo) -> None:
    question = parsed(command.args)
    lines, buttons = await _page(trace_repo, question)
    await send(bot, message.chat.id, lines, buttons=buttons)


async def turn(press: CallbackQuery, callback_data: Turn, bot: Bot, trace_repo: TraceRepo) -> None:
    page = press.message
    if not isinstance(page, Message):
        await acknowledge(press, "this list is too old to be turned: /traces makes a new one")
        return
    lines, buttons = await _page(trace_repo, question_of(page), callback_data)
    changed = buttons is not None and await edit(bot, page, lines, buttons)
    await acknowledge(press, None if changed else f"nothing {callback_data.to}")


def question_of(page: Message) -> Question:
    """The question in the first line of a page. Raises `WrongArgument` where it is none of ours."""
    first = (page.text or "").partition("\n")[0]
    if not first.startswith(TITLE):
        raise WrongArgument("this message is no list of traces: /traces makes one")
    return parsed(first.removeprefix(TITLE).removeprefix(":"))


async def _page(
    repo: TraceRepo, question: Question, turned: Turn | None = None
) -> tuple[list[Line], InlineKeyboardMarkup | None]:
    found, has_more = await _found(repo, question, turned)
    lines = [heading(TITLE, question.text)]
    for trace in found:
        lines += trace_lines(trace)
    if found:
        return lines, _buttons(found, has_more)
    return [*lines, line("no traces here"), *await _known_pipelines(repo, question)], None


async def _found(repo: TraceRepo, question: Question, turned: Turn | None) -> tuple[list[Trace], bool]:
    """A page of traces, and whether there are older ones. Where nothing fills a page of newer ones: the newest."""
    if turned is not None and turned.to == "newer":
        newer = await _asked(repo, question, turned, PAGE)
        if len(newer) == PAGE:
            return newer, True
        turned = None
    older = await _asked(repo, question, turned, PAGE + 1)
    return older[:PAGE], len(older) > PAGE


async def _asked(repo: TraceRepo, question: Question, turned: Turn | None, limit: int) -> list[Trace]:
    return await repo.get_traces(
        pipeline=question.pipeline,
        telegram_id=question.telegram_id,
        success=False if question.failed else None,
        since=question.since,
        limit=limit,
        cursor=turned.cursor if turned else None,
        newer=turned is not None and turned.to == "newer",
    )


def _buttons(found: Sequence[Trace], has_more: bool) -> InlineKeyboardMarkup:
    row = [_button("« Newer", "newer", found[0])]
    if has_more:
        row.append(_button("Older »", "older", found[-1]))
    return InlineKeyboardMarkup(inline_keyboard=[row])


def _button(label: str, to: Literal["older", "newer"], beyond: Trace) -> InlineKeyboardButton:
    turned = Turn(to=to, start=microseconds(beyond.start_time), trace_id=beyond.trace_id)
    return InlineKeyboardButton(text=label, callback_data=turned.pack())


async def _known_pipelines(repo: TraceRepo, question: Question) -> list[Line]:
    """A name may be misspelt: those that ran of late."""
    if question.pipeline is None:
        return []
    names = [statistics.name for statistics in await repo.stats()]
    if not names or question.pipeline in names:
        return []
    shown = [piece for name in names[:20] for piece in (" ", code(name, 60))]
    return [line("pipelines that ended in the last day:", *shown)]
