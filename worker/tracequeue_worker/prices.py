"""What tokens cost, by the price list that `genai-prices` brings along: offline, and never a guess.

The price of one call is linear in its tokens, but for two things. Some models cost more from so many input tokens on,
and prices change on a day, or at an hour. So usage is priced in groups that no such limit divides.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

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

from tracequeue_worker.read_models import TokenUsage


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


def priced(usages: Sequence[TokenUsage]) -> list[Priced]:
    """Each with its price. Within each no call may be apart from another by `size_limits` or `price_changes`."""
    return [_priced(usage) for usage in usages]


def _priced(usage: TokenUsage) -> Priced:
    """As many times the price of the mean call: it costs by the same list as each of them."""
    if not usage.provider or not usage.model:
        return Priced(usage, None, "the spans do not name provider and model")
    calls = Decimal(usage.calls)
    try:
        mean = calc_price(
            Usage(
                input_tokens=usage.input_tokens / calls,
                cache_read_tokens=usage.cache_read_tokens / calls,
                cache_write_tokens=usage.cache_write_tokens / calls,
                output_tokens=usage.output_tokens / calls,
            ),
            usage.model,
            provider_id=usage.provider,
            genai_request_timestamp=usage.first_time,
        )
    except LookupError:
        return Priced(usage, None, "no price is known")
    except ValueError:
        return Priced(usage, None, "more tokens of the cache than input tokens")
    return Priced(usage, mean.total_price * calls)


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
