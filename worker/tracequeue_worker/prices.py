"""What tokens cost, by the price list that `genai-prices` brings along: offline, and never a guess.

The price of one call is linear in its tokens, but for two things. Some models cost more from so many input tokens on,
and prices change on a day, or at an hour. So usage is priced in groups that no such limit divides.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final, TypeAlias

from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from tracequeue_worker.printable import one_line
from tracequeue_worker.read_models import TokenUsage

MANY: Final = 1_000
"""Tokens, so that the price of one has no fewer digits than it needs."""

_Kind: TypeAlias = tuple[str, str, int, int]
"""Provider, model, between which sizes, between which moments."""


@dataclass(frozen=True, slots=True)
class Priced:
    """Usage and its price in US dollars; None with the reason why it has none."""

    usage: TokenUsage
    dollars: Decimal | None
    why_not: str = ""


def size_limits() -> list[int]:
    """The numbers of input tokens at which the price of any model changes, ascending: the first of the higher price."""
    models = (model for provider in get_snapshot().providers for model in provider.models)
    tiered = (
        price
        for model in models
        for conditional in _conditional(model)
        for price in vars(conditional.prices).values()
        if isinstance(price, TieredPrices)
    )
    return sorted({tier.start + 1 for price in tiered for tier in price.tiers})


def price_changes(usages: Iterable[TokenUsage], since: datetime, until: datetime) -> list[datetime]:
    """The moments between these at which the price of one of these models changes, ascending."""
    moments: set[datetime] = set()
    for provider, name in {(usage.provider, usage.model) for usage in usages}:
        model = _known(provider, name)
        if model is not None:
            moments.update(_changes(_conditional(model), since, until))
    return sorted(moments)


def priced(usages: Sequence[TokenUsage], moments: Sequence[datetime] = ()) -> list[Priced]:
    """Each with its price. Within each no call may be apart from another by `size_limits` or by these `moments`, at
    which prices change."""
    sizes, tariffs = size_limits(), dict[_Kind, "Tariff | None"]()
    return [_priced(usage, sizes, moments, tariffs) for usage in usages]


class Tariff:
    """What the calls of one kind cost: linear in their tokens. Raises `LookupError` where no price is known.

    Asking the price list takes longer than all else, so it is asked once for each kind, and for what is used.
    """

    def __init__(self, usage: TokenUsage) -> None:
        self._usage = usage
        self._input = max(1, usage.input_tokens // usage.calls)
        """A number of input tokens that such a call has."""
        self._call = self._price(input_tokens=0)
        self._plain = self._price(input_tokens=self._input)

    def price(self, usage: TokenUsage) -> Decimal:
        """The price of all calls of this usage. Raises `ValueError` where the list has none for such tokens."""
        read, written = usage.cache_read_tokens, usage.cache_write_tokens
        total = self._call * usage.calls + (usage.input_tokens - read - written) * self._fresh
        if usage.output_tokens:
            total += usage.output_tokens * self._output
        if read:
            total += read * self._read
        if written:
            total += written * self._written
        return total

    @cached_property
    def _fresh(self) -> Decimal:
        return (self._plain - self._call) / self._input

    @cached_property
    def _output(self) -> Decimal:
        return (self._price(input_tokens=self._input, output_tokens=MANY) - self._plain) / MANY

    @cached_property
    def _read(self) -> Decimal:
        return (self._price(input_tokens=self._input, cache_read_tokens=self._input) - self._call) / self._input

    @cached_property
    def _written(self) -> Decimal:
        return (self._price(input_tokens=self._input, cache_write_tokens=self._input) - self._call) / self._input

    def _price(self, **tokens: int) -> Decimal:
        usage = self._usage
        return calc_price(
            Usage(**{"output_tokens": 0} | tokens), usage.model or "", provider_id=usage.provider,
            genai_request_timestamp=usage.first_time,
        ).total_price  # fmt: skip


def _priced(
    usage: TokenUsage, sizes: Sequence[int], moments: Sequence[datetime], tariffs: "dict[_Kind, Tariff | None]"
) -> Priced:
    if not usage.provider or not usage.model:
        return Priced(usage, None, "the spans do not name provider and model")
    if usage.cache_read_tokens + usage.cache_write_tokens > usage.input_tokens:
        return Priced(usage, None, "more tokens of the cache than input tokens")
    size, moment = bisect_right(sizes, usage.input_tokens // usage.calls), bisect_right(moments, usage.first_time)
    kind = (usage.provider, usage.model, size, moment)
    if kind not in tariffs:
        tariffs[kind] = _tariff(usage)
    tariff = tariffs[kind]
    if tariff is None:
        return Priced(usage, None, "no price is known")
    try:
        return Priced(usage, tariff.price(usage))
    except ValueError as error:
        return Priced(usage, None, one_line(error))


def _tariff(usage: TokenUsage) -> Tariff | None:
    try:
        return Tariff(usage)
    except LookupError:
        return None


def _known(provider: str | None, model: str | None) -> ModelInfo | None:
    if not provider or not model:
        return None
    try:
        return get_snapshot().find_provider_model(model, None, provider, None)[1]
    except LookupError:
        return None


def _conditional(model: ModelInfo) -> list[ConditionalPrice]:
    return [ConditionalPrice(prices=model.prices)] if isinstance(model.prices, ModelPrice) else model.prices


def _changes(prices: Sequence[ConditionalPrice], since: datetime, until: datetime) -> Iterator[datetime]:
    """Inside a period, at the day on which a price begins, and each day at the hours between which one holds."""
    for constraint in (price.constraint for price in prices):
        if isinstance(constraint, StartDateConstraint):
            candidates = [datetime.combine(constraint.start_date, datetime.min.time(), UTC)]
        elif isinstance(constraint, TimeOfDateConstraint):
            hours = (constraint.start_time, constraint.end_time)
            candidates = [
                datetime.combine(day, hour, hour.tzinfo or UTC) for day in _days(since, until) for hour in hours
            ]
        else:
            continue
        yield from (moment for moment in candidates if since < moment < until)


def _days(since: datetime, until: datetime) -> Iterator[datetime]:
    """One moment of each day that the period touches, and of its neighbours: an hour may be of another zone."""
    for number in range(-1, (until - since).days + 3):
        yield since.astimezone(UTC) + timedelta(days=number)
