"""Usage that is added up costs what its calls cost one by one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from tracequeue_worker.prices import price_changes, priced, size_limits
from tracequeue_worker.read_models import TokenUsage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LIMITS = size_limits()
calls = st.lists(
    st.tuples(st.integers(0, 300_000), st.integers(0, 100), st.integers(0, 100), st.integers(0, 50_000)), min_size=1,
    max_size=12,
)  # fmt: skip


def usage(**changes) -> TokenUsage:
    facts = {
        "pipeline_name": "p", "telegram_id": 1, "provider": "anthropic", "model": "claude-sonnet-4-5", "calls": 1,
        "input_tokens": 1000, "cache_read_tokens": 0, "cache_write_tokens": 0, "output_tokens": 10, "first_time": NOON,
    }  # fmt: skip
    return TokenUsage(**(facts | changes))


def size_class(tokens: int) -> int:
    return sum(limit <= tokens for limit in LIMITS)


@given(calls, st.sampled_from([("anthropic", "claude-sonnet-4-5"), ("openrouter", "openai/gpt-4o-mini")]))
def test_the_sum_costs_what_each_call_costs(some, model) -> None:
    """Of calls of one size class, as SQL groups them."""
    groups: dict[int, list] = {}
    for tokens, read_share, written_share, out in some:
        read = tokens * read_share // 200
        written = tokens * written_share // 200
        groups.setdefault(size_class(tokens), []).append((tokens, read, written, out))
    for group in groups.values():
        fields = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
        each = [dict(zip(fields, one, strict=True)) for one in group]
        provider, name = model
        one_by_one = sum(
            calc_price(Usage(**one), name, provider_id=provider, genai_request_timestamp=NOON).total_price
            for one in each
        )
        sums = {field: sum(one[field] for one in each) for field in fields}
        (together,) = priced([usage(provider=provider, model=name, calls=len(each), **sums)])
        assert together.dollars is not None
        assert abs(together.dollars - one_by_one) < Decimal("1e-15")


def test_a_size_limit_is_the_first_of_the_higher_price() -> None:
    assert 200_001 in LIMITS
    assert sorted(LIMITS) == LIMITS
    below, at = priced([usage(input_tokens=200_000, output_tokens=0), usage(input_tokens=200_001, output_tokens=0)])
    assert (below.dollars, at.dollars) == (Decimal("0.6"), Decimal("1.200006"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model": "unheard-of"}, "no price is known"),
        ({"provider": "nobody"}, "no price is known"),
        ({"provider": None}, "do not name"),
        ({"model": None}, "do not name"),
        ({"cache_read_tokens": 1001}, "more tokens of the cache"),
    ],
)
def test_what_has_no_price_is_not_guessed(changes, why: str) -> None:
    (found,) = priced([usage(**changes)])
    assert found.dollars is None
    assert why in found.why_not


def test_prices_that_change_by_the_hour_and_on_a_day() -> None:
    since = NOON - timedelta(hours=13)  # 23:00
    by_hour = [usage(provider="deepseek", model="deepseek-chat")]
    assert price_changes(by_hour, since, NOON) == [datetime(2026, 11, 20, 0, 30, tzinfo=UTC)]
    assert [moment.hour for moment in price_changes(by_hour, since, since + timedelta(days=1))] == [0, 16]
    day = datetime(2026, 3, 13, tzinfo=UTC)
    on_a_day = [usage(model="claude-opus-4-6")]
    assert price_changes(on_a_day, day - timedelta(days=1), day + timedelta(days=1)) == [day]
    assert price_changes([usage(), usage(provider=None), usage(model="unheard-of")], since, NOON) == []
