"""`/cost`: tokens and money, by pipeline, by person and by model."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from aiogram import Bot
from aiogram.filters import CommandObject
from aiogram.types import Message

from tracequeue_worker.prices import Priced, price_changes, priced, size_limits
from tracequeue_worker.read_models import TokenUsage
from tracequeue_worker.repo import TraceRepo
from tracequeue_worker.telegram.answers import send
from tracequeue_worker.telegram.arguments import recent
from tracequeue_worker.telegram.lines import Line, Piece, code, line
from tracequeue_worker.telegram.shown import counted, heading

SHOWN = 10


@dataclass(slots=True)
class Sum:
    """Usage added up: `calls` with their tokens, and the dollars of those that have a price."""

    calls: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    dollars: Decimal = Decimal(0)

    def add(self, one: Priced) -> None:
        self.calls += one.usage.calls
        self.unpriced += one.usage.calls if one.dollars is None else 0
        self.input_tokens += one.usage.input_tokens
        self.cached_tokens += one.usage.cache_read_tokens
        self.output_tokens += one.usage.output_tokens
        self.dollars += one.dollars or 0

    @property
    def text(self) -> str:
        """Money first; a sum that leaves calls out says so."""
        without = f" without {counted(self.unpriced, 'unpriced call')}" if self.unpriced else ""
        cached = f" ({self.cached_tokens:,} cached)" if self.cached_tokens else ""
        return (
            f"${_amount(self.dollars)}{without} · {counted(self.calls, 'call')} · "
            f"{self.input_tokens:,}{cached} in, {self.output_tokens:,} out"
        )


async def cost(message: Message, command: CommandObject, bot: Bot, trace_repo: TraceRepo) -> None:
    question, since = recent(command.args, takes=("period",))
    until, sizes = datetime.now(UTC), size_limits()
    usages = await trace_repo.get_token_usage(since=since, until=until, sizes=sizes)
    # Seldom a price changes meanwhile, and only then it is asked more finely.
    moments = await asyncio.to_thread(price_changes, usages, since, until)
    if moments:
        usages = await trace_repo.get_token_usage(since=since, until=until, sizes=sizes, moments=moments)
    lines = await asyncio.to_thread(lambda: list(_lines(priced(usages, moments))))  # the bot goes on meanwhile
    await send(bot, message.chat.id, [heading("Cost of language models", question.text), *lines], name="cost")


def _lines(found: Sequence[Priced]) -> Iterator[Line]:
    if not found:
        yield line("no call of a language model says here what it used (tracequeue.gen_ai)")
        return
    total = Sum()
    for one in found:
        total.add(one)
    yield line(total.text)
    yield from _by("By pipeline", found, lambda usage: code(usage.pipeline_name or "of no stored trace", 60))
    yield from _by("By person", found, lambda usage: Piece(_person(usage)))
    yield from _by("By model", found, _model)
    yield from _unpriced(found)


def _by(title: str, found: Sequence[Priced], name: Callable[[TokenUsage], Piece]) -> Iterator[Line]:
    """The dearest first, then those with most tokens."""
    sums: defaultdict[Piece, Sum] = defaultdict(Sum)
    for one in found:
        sums[name(one.usage)].add(one)
    ordered = sorted(sums.items(), key=lambda item: (item[1].dollars, item[1].input_tokens), reverse=True)
    yield heading(title)
    for piece, total in ordered[:SHOWN]:
        yield line(piece, f" {total.text}")
    if len(ordered) > SHOWN:
        rest = sum((total.dollars for _, total in ordered[SHOWN:]), Decimal(0))
        yield line(f"and {len(ordered) - SHOWN:,} more, together ${_amount(rest)}")


def _unpriced(found: Sequence[Priced]) -> Iterator[Line]:
    reasons: defaultdict[tuple[Piece, str], int] = defaultdict(int)
    for one in found:
        if one.dollars is None:
            reasons[_model(one.usage), one.why_not] += one.usage.calls
    if reasons:
        yield heading("Unpriced")
    for (model, why_not), calls in sorted(reasons.items(), key=lambda item: -item[1])[:SHOWN]:
        yield line(model, f" {counted(calls, 'call')}: {why_not}")
    if len(reasons) > SHOWN:
        yield line(f"and {len(reasons) - SHOWN:,} more")


def _person(usage: TokenUsage) -> str:
    return "nobody" if usage.telegram_id is None else f"id={usage.telegram_id}"


def _model(usage: TokenUsage) -> Piece:
    return code(f"{usage.provider or '?'} {usage.model or '?'}", 80)


def _amount(dollars: Decimal) -> str:
    """Cents, or what a cent is divided into where there is less than a dollar."""
    return f"{dollars:,.2f}" if dollars >= 1 or not dollars else f"{dollars:.6f}".rstrip("0").ljust(4, "0")
