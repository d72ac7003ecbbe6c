"""`/slow`, `/failed`, `/cost` and `/why` of a bot, on stored traces."""

import json
from decimal import Decimal

import pytest
from aiogram import Bot

from examples.bot.stand_ins.telegram import Person, TelegramStandIn
from tests.fixtures.administration import ADMINS, asks
from tests.fixtures.decoded import decoded, ended_row, now, span_row
from tracequeue.gen_ai import CACHE_READ_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, PROVIDER, REQUEST_MODEL, RESPONSE_MODEL
from tracequeue.telegram import MESSAGES, message_key
from tracequeue_worker.sinks.postgres import PostgresSink

SECOND = 1_000_000
DAY = 86_400 * SECOND
HAIKU = "claude-haiku-4-5"


def called(trace, model: str, provider: str = "anthropic", **tokens):
    attributes = {PROVIDER: provider, REQUEST_MODEL: "asked", RESPONSE_MODEL: model, **tokens}
    start = trace.start_time
    return span_row(trace_id=trace.trace_id, start_time=start, span_name="llm", attributes=json.dumps(attributes))


async def test_what_was_slow(sink: PostgresSink, admin: Person):
    slow = ended_row(pipeline_name="learn", duration_ms=8000.0)
    rows = [slow, *(ended_row(pipeline_name="learn", duration_ms=float(number)) for number in range(20))]
    spans = [span_row(trace_id=slow.trace_id, span_name="agent:trainer", duration_ms=7000.0)]
    other = ended_row(pipeline_name="train", duration_ms=9000.0)
    await sink.write([decoded(*rows, *spans, other, span_row(trace_id=other.trace_id, span_name="agent:other"))])
    text = (await asks(admin, "/slow learn 2h", "Slowest")).text
    lines = text.split("\n")
    assert "8.00 s" in lines[1]
    assert lines[2] == f"/trace_{slow.trace_id.replace('-', '')}"
    assert "19.0 ms" in lines[3]
    assert "learn\n  10.0 ms   19.0 ms    6.40 s     21\n" in text
    assert "agent:trainer\n   7.00 s    7.00 s    7.00 s      1" in text
    assert "other" not in text
    assert "agent:other" in (await asks(admin, "/slow", "Slowest")).text


async def test_what_failed(sink: PostgresSink, admin: Person):
    start, facts = now(), {"status": "error", "success": False}
    rows = [
        ended_row(start_time=start - number, error=f"RateLimited: <{number}> for 'x'", pipeline_name="ab"[number % 2],
                  telegram_id=number, **facts)
        for number in range(4)
    ]  # fmt: skip
    await sink.write([decoded(*rows, ended_row(status="cancelled", success=False, start_time=start - 9), ended_row())])
    text = (await asks(admin, "/failed", "Failures")).text
    assert "❌ 4 traces of 4 people" in text
    assert ": a b\nRateLimited: <0> for 'x'\nfor example /trace_" + rows[0].trace_id.replace("-", "") in text
    assert "⏹ 1 trace of 1 person" in text
    assert "❌ 2 traces" in (await asks(admin, "/failed b 1h", "Failures")).text
    assert "no trace failed here" in (await asks(admin, "/failed c", "Failures")).text


async def test_what_it_cost(sink: PostgresSink, admin: Person):
    """A million tokens of haiku 4.5 are $1 and $5, $0.10 from the cache; of gpt-4o-mini there $0.15 and $0.60."""
    ada = ended_row(pipeline_name="support", telegram_id=1)
    bob = ended_row(pipeline_name="learn", telegram_id=2)
    million = 1_000_000
    spans = [
        called(ada, HAIKU, **{INPUT_TOKENS: 2 * million, CACHE_READ_TOKENS: million, OUTPUT_TOKENS: million}),
        called(bob, "openai/gpt-4o-mini", "openrouter", **{INPUT_TOKENS: million, OUTPUT_TOKENS: million}),
        called(bob, HAIKU, **{INPUT_TOKENS: 10, OUTPUT_TOKENS: 10}),
        called(bob, "unheard-of", **{INPUT_TOKENS: 123, OUTPUT_TOKENS: 5}),
        called(bob, HAIKU, **{INPUT_TOKENS: 1, CACHE_READ_TOKENS: 2}),
    ]
    old = ended_row(start_time=now() - 3 * DAY)
    await sink.write([decoded(ada, bob, *spans, old, called(old, HAIKU, **{OUTPUT_TOKENS: million}))])
    lines = (await asks(admin, "/cost 2h", "Cost")).text.split("\n")
    assert lines[1] == "$6.85 without 2 unpriced calls · 5 calls · 3,000,134 (1,000,002 cached) in, 2,000,015 out"
    of_ada = "$6.10 · 1 call · 2,000,000 (1,000,000 cached) in, 1,000,000 out"
    assert f"support {of_ada}" in lines
    assert f"id=1 {of_ada}" in lines
    assert "id=2 $0.75006 without 2 unpriced calls · 4 calls · 1,000,134 (2 cached) in, 1,000,015 out" in lines
    assert "openrouter openai/gpt-4o-mini $0.75 · 1 call · 1,000,000 in, 1,000,000 out" in lines
    assert "anthropic unheard-of 1 call: no price is known" in lines
    assert "anthropic claude-haiku-4-5 1 call: more tokens of the cache than input tokens" in lines
    assert "$11.85" in (await asks(admin, "/cost 7d", "Cost")).text


async def test_long_prompts_cost_more_and_are_not_mixed_with_short_ones(sink: PostgresSink, admin: Person):
    """sonnet 4.5: $3 a million input tokens, $6 where the prompt of a call is longer than 200,000."""
    trace = ended_row(pipeline_name="support")
    sizes = (200_000, 200_001, 100_000)
    spans = [called(trace, "claude-sonnet-4-5", **{INPUT_TOKENS: size}) for size in sizes]
    await sink.write([decoded(trace, *spans)])
    dollars = Decimal(300_000) * 3 / 1_000_000 + Decimal(200_001) * 6 / 1_000_000
    assert f"${dollars:.2f} · 3 calls" in (await asks(admin, "/cost", "Cost")).text


async def test_a_price_of_certain_hours_is_that_of_these_hours(sink: PostgresSink, admin: Person):
    """deepseek-chat is cheaper from 16:30 to 0:30 UTC; a day holds both halves."""
    midnight = now() // DAY * DAY - DAY
    noon, evening = (ended_row(start_time=midnight + hours * 3600 * SECOND) for hours in (12, 20))
    spans = [called(one, "deepseek-chat", "deepseek", **{INPUT_TOKENS: 1_000_000}) for one in (noon, evening)]
    await sink.write([decoded(noon, evening, *spans)])
    from datetime import UTC, datetime, timedelta

    from genai_prices import Usage, calc_price

    day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=midnight)
    prices = [
        calc_price(
            Usage(input_tokens=1_000_000), "deepseek-chat", provider_id="deepseek",
            genai_request_timestamp=day + timedelta(hours=hours),
        ).total_price
        for hours in (12, 20)
    ]  # fmt: skip
    assert prices[0] != prices[1]
    total = f"{sum(prices):.6f}".rstrip("0").ljust(4, "0")
    assert f"${total} · 2 calls" in (await asks(admin, "/cost 3d", "Cost")).text


async def test_nothing_that_cost(admin: Person):
    assert "no call of a language model" in (await asks(admin, "/cost", "Cost")).text


async def test_why_a_message_was_sent(sink: PostgresSink, telegram_bot: Bot, admin: Person):
    sent = await telegram_bot.send_message(admin.id, "an answer")
    key = message_key(telegram_bot.id, admin.id, sent.message_id)
    facts = {"session_id": str(admin.id), "metadata": json.dumps({MESSAGES: [key]})}
    trace = ended_row(pipeline_name="support", start_time=now() - 5 * SECOND, span_count=1, **facts)
    earlier = ended_row(pipeline_name="greeting", start_time=now() - 60 * SECOND, **facts)
    step = span_row(trace_id=trace.trace_id, start_time=trace.start_time, span_name="agent:trainer")
    await sink.write([decoded(trace, earlier, step)])
    answer = await admin.hears("agent:trainer", after=await admin.replies(sent.message_id, "/why"))
    also, first, *_ = answer.text.split("\n")
    assert also == f"it also worked on this message: /trace_{earlier.trace_id.replace('-', '')}"
    assert first.startswith("✅ support")


async def test_why_a_message_was_edited(sink: PostgresSink, telegram_bot: Bot, admin: Person):
    """Long after it was sent, as far as the traces know: both are looked for."""
    sent = await telegram_bot.send_message(admin.id, "an answer")
    await telegram_bot.edit_message_text("another one", chat_id=admin.id, message_id=sent.message_id)
    key = message_key(telegram_bot.id, admin.id, sent.message_id)
    trace = ended_row(start_time=now(), session_id=str(admin.id), metadata=json.dumps({MESSAGES: [key]}))
    await sink.write([decoded(trace)])
    assert trace.trace_id in (await admin.hears("✅", after=await admin.replies(sent.message_id, "/why"))).text


async def test_why_in_a_group_is_answered_in_private(
    sink: PostgresSink, telegram: TelegramStandIn, telegram_bot: Bot, admin: Person
) -> None:
    """Nobody else reads it, nor what is wrong with the question; who has no private chat is asked to open one."""
    stranger, absent = telegram.person(1, "Eve"), telegram.person(ADMINS[1], "Bob")
    group = telegram.group(-7, "everybody", admin, stranger, absent)
    await absent.blocks_bot()
    sent = await telegram_bot.send_message(group.id, "an answer")
    key = message_key(telegram_bot.id, group.id, sent.message_id)
    facts = {"metadata": json.dumps({MESSAGES: [key]})}
    trace = ended_row(pipeline_name="support", start_time=now() - 5 * SECOND, span_count=0, **facts)
    await sink.write([decoded(trace)])
    await admin.within(group).replies(sent.message_id, "/why")
    await admin.hears("support")
    await admin.within(group).says("/why")
    await admin.hears("/why is a reply")
    await stranger.within(group).replies(sent.message_id, "/why")
    for ask in (absent.within(group).replies(sent.message_id, "/why"), absent.within(group).says("/why")):
        asked = await ask
        await admin.within(group).hears("open a chat with me first", after=asked)
    said = [message.text for message in admin.within(group).chat if message.sender.is_bot]
    assert [text for text in said if "support" in text or "is a reply" in text] == []


async def test_why_of_what_has_no_trace(telegram: TelegramStandIn, telegram_bot: Bot, admin: Person):
    assert "/why is a reply" in (await asks(admin, "/why")).text
    own = await admin.says("my own words")
    await admin.hears("do not understand", after=own)
    assert "not mine" in (await admin.hears(after=await admin.replies(own, "/why"))).text
    sent = await telegram_bot.send_message(ADMINS[0], "untraced")
    answer = await admin.hears(after=await admin.replies(sent.message_id, "/why"))
    assert "no stored trace says that it sent this message" in answer.text
    assert "/lag" in answer.text


@pytest.mark.parametrize("count", [12])
async def test_many_people_are_summed_up(sink: PostgresSink, admin: Person, count: int):
    traces = [ended_row(telegram_id=number) for number in range(count)]
    spans = [called(one, HAIKU, **{OUTPUT_TOKENS: 1_000_000 * (1 + one.telegram_id)}) for one in traces]
    await sink.write([decoded(*traces, *spans)])
    lines = (await asks(admin, "/cost", "Cost")).text.split("\n")
    assert "and 2 more, together $15.00" in lines
    people = [line.partition(" ")[0] for line in lines if line.startswith("id=")]
    assert people == [f"id={number}" for number in range(11, 1, -1)]
