"""The synthetic user: people who talk to the reference bot through the Bot API, and what Postgres has of it.

The bot is a process of its own, and knows nothing of tests. The original specification left six checks to a person;
each is a test of this file, in their order:

1. traces end to end through the bot: `test_every_way_through_the_bot_leaves_its_trace`
2. spans and their parents: `test_each_step_is_recorded_below_the_step_that_asked_for_it`
3. the trace id across parallel tasks: `test_agents_at_once_and_people_at_once_do_not_mix`
4. the flush at a graceful shutdown: `test_a_shutdown_in_the_midst_of_a_pipeline_loses_nothing`
5. the migrations on a real database: `test_on_an_empty_database_one_command_is_enough`
6. what the decorator costs outside a trace: `test_outside_a_trace_the_decorator_does_next_to_nothing`

Below them, what a site would try next: providers that fail, people who write nonsense, and an admin who asks why.
"""

import gc
import re
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from examples.bot.llm.claude import MODEL
from examples.bot.progress import APOLOGY
from examples.bot.stand_ins.telegram import ChatMessage
from tests.fixtures.command import Command
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.reference_bot import BotProcess, bot_process
from tests.fixtures.stored import edges, named, stored
from tracequeue import get_collector, traced_span
from tracequeue.gen_ai import INPUT_TOKENS, OUTPUT_TOKENS, RESPONSE_MODEL, TIME_TO_FIRST_CHUNK
from tracequeue.telegram import MESSAGES, message_key
from tracequeue.testing import MemoryCollector
from tracequeue_worker.read_models import Trace
from tracequeue_worker.repo import TraceRepo

ADMIN = 7
SLOW = 1.5
"""Seconds."""
THOUSAND = 1_000
OVERLOADED = 529
CALLS_OUTSIDE_A_TRACE = 3
"""The wrapper itself, a look at the ContextVar, and one to spare."""


@pytest.fixture
async def bot(site: Site) -> AsyncIterator[BotProcess]:
    """The bot and a worker at work."""
    async with site.working(), bot_process(site, bot_admin_ids=frozenset({ADMIN})) as bot:
        yield bot


async def pipelines(repo: TraceRepo, telegram_id: int, count: int) -> dict[str, Trace]:
    """All traces of a person, by pipeline, once there are so many and all are whole."""

    async def whole() -> list[Trace] | None:
        traces = await repo.get_traces(telegram_id=telegram_id)
        return traces if len(traces) == count and all(one.completeness == "complete" for one in traces) else None

    traces = await eventually(whole)
    assert traces is not None
    return {trace.pipeline_name: trace for trace in traces}


async def test_every_way_through_the_bot_leaves_its_trace(bot: BotProcess, repo: TraceRepo) -> None:
    ada = bot.person(42, "Ada")
    await ada.says("/learn swimming")
    await stored(repo, "learn")
    await ada.says("/train chess")
    await stored(repo, "train")
    await ada.says("Why is the sky blue?")
    await stored(repo, "support")
    await ada.presses("Answer again")
    await stored(repo, "support_regen")

    traces = await pipelines(repo, ada.id, 4)
    assert set(traces) == {"learn", "train", "support", "support_regen"}
    assert len({trace.trace_id for trace in traces.values()}) == 4
    answers = {
        key for trace in traces.values() for key in (trace.metadata or {})[MESSAGES]
    }  # what the bot said in these traces
    said = [message for message in ada.chat if message.sender.is_bot]
    assert answers == {message_key(message.sender.id, ada.id, message.message_id) for message in said}
    for trace in traces.values():
        assert (trace.state, trace.success, trace.user_id, trace.session_id) == ("ok", True, 1, "42")
        assert trace.end_time is not None
        assert trace.duration_ms is not None
        elapsed_ms = (trace.end_time - trace.start_time).total_seconds() * 1000
        assert trace.duration_ms == pytest.approx(elapsed_ms, abs=0.01)


async def test_each_step_is_recorded_below_the_step_that_asked_for_it(bot: BotProcess, repo: TraceRepo) -> None:
    ada = bot.person(42, "Ada")
    await ada.says("/train swimming")
    trace, spans = await stored(repo, "train")
    answer = await ada.hears("swimming")
    assert edges(spans) == [
        ("", "agent:memory"), ("", "agent:strategist"), ("", "agent:trainer"),
        ("agent:strategist", "llm:claude"), ("agent:trainer", "llm:claude"),
    ]  # fmt: skip
    assert (named(spans, "agent:trainer").input_data or {})["task"]["text"] == "swimming"
    assert named(spans, "agent:trainer").output_data == answer.text
    parents = {span.span_id: span for span in spans}
    for step in spans:
        outer = parents[step.parent_span_id] if step.parent_span_id else trace
        assert outer.start_time <= step.start_time <= step.end_time
        assert outer.end_time is not None
        assert step.end_time <= outer.end_time
        assert (step.status, step.error, step.trace_id) == ("ok", None, trace.trace_id)
    asked, streamed = (span.attributes or {} for span in spans if span.kind == "llm")
    assert asked[RESPONSE_MODEL] == streamed[RESPONSE_MODEL] == MODEL
    assert min(asked[INPUT_TOKENS], asked[OUTPUT_TOKENS], streamed[TIME_TO_FIRST_CHUNK]) > 0


async def test_agents_at_once_and_people_at_once_do_not_mix(bot: BotProcess, repo: TraceRepo) -> None:
    topics = {42: "swimming", 43: "chess", 44: "Esperanto"}
    people = {number: bot.person(number, f"P{number}") for number in topics}
    bot.claude.pause = 0.05  # so that they are at work at the same time
    for number, topic in topics.items():
        await people[number].says(f"/learn {topic}")
    found = {number: await stored(repo, "learn", number) for number in topics}
    for number, (trace, spans) in found.items():
        assert (trace.telegram_id, trace.session_id, len(spans)) == (number, str(number), 5)
        assert {(span.input_data or {})["task"]["text"] for span in spans if span.kind == "agent"} == {topics[number]}
        memory, strategist = named(spans, "agent:memory"), named(spans, "agent:strategist")
        assert memory.start_time < strategist.end_time
        assert strategist.start_time < memory.end_time
        assert memory.parent_span_id == strategist.parent_span_id is None
    starts = [trace.start_time for trace, _ in found.values()]
    ends = [trace.end_time for trace, _ in found.values() if trace.end_time]
    assert max(starts) < min(ends), "they were not at work at the same time"


async def test_a_shutdown_in_the_midst_of_a_pipeline_loses_nothing(
    site: Site, repo: TraceRepo, command: Command
) -> None:
    async with bot_process(site) as bot:
        bot.claude.fail(200, delay=1)  # late, not failed
        ada = bot.person(42, "Ada")
        await ada.says("/learn swimming")
        await eventually(lambda: bot.claude.calls)
        bot.terminate()
        assert await bot.ended() == 0
        assert "swimming" in (await ada.hears()).text
        log = bot.log.read_text()
        assert "Traceback" not in log
        assert bot.telegram.token not in log
    await site.drain()
    trace, spans = await stored(repo, "learn")
    assert (trace.state, len(spans)) == ("ok", 5)
    audit = command("audit")
    assert (audit.code, "the account closes" in audit.out) == (0, True), audit


async def test_on_an_empty_database_one_command_is_enough(site: Site, database_url: str, command: Command) -> None:
    migrated = command("migrate", TRACEQUEUE_DATABASE_URL=database_url)
    assert migrated.code == 0, migrated
    again = command("migrate", TRACEQUEUE_DATABASE_URL=database_url)
    assert "nothing to apply" in again.err
    fresh = replace(site, database_url=database_url)
    async with fresh.working(), bot_process(fresh) as bot:
        ada = bot.person(42, "Ada")
        await ada.says("/learn swimming")
        await ada.hears("swimming")
        await eventually(lambda: ended(fresh))
    assert len(await fresh.fetch("SELECT FROM pipeline_spans")) == 5


async def ended(site: Site) -> bool:
    return bool(await site.fetch("SELECT FROM pipeline_traces WHERE pipeline_name = 'learn' AND status = 'ok'"))


def test_outside_a_trace_the_decorator_does_next_to_nothing(recorded: MemoryCollector) -> None:
    """Counted in calls and memory, which no machine makes faster; `make bench` measures it in time."""

    def bare(text: str) -> str:
        return text

    decorated = traced_span("agent:trainer")(bare)
    assert get_collector() is recorded
    assert calls_of(lambda: decorated("x")) - calls_of(lambda: bare("x")) <= CALLS_OUTSIDE_A_TRACE
    assert blocks_kept(lambda: decorated("x")) - blocks_kept(lambda: bare("x")) < THOUSAND / 100
    assert recorded.events == []
    assert recorded.stats().emitted == 0


def calls_of(function: Callable[[], Any]) -> int:
    """How many functions, of Python and of C, are called."""
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


def blocks_kept(function: Callable[[], Any]) -> int:
    """How many blocks of memory stay after a thousand calls."""
    function()
    gc.collect()
    gc.disable()
    before = sys.getallocatedblocks()
    for _ in range(THOUSAND):
        function()
    kept = sys.getallocatedblocks() - before
    gc.enable()
    return kept


async def test_another_provider_answers_and_the_trace_has_both(bot: BotProcess, repo: TraceRepo) -> None:
    bot.claude.fail(OVERLOADED, times=2)
    ada = bot.person(42, "Ada")
    await ada.says("/learn swimming")
    await ada.hears("swimming")
    trace, spans = await stored(repo, "learn")
    assert trace.success
    tries = sorted((span.span_name, span.success) for span in spans if span.kind == "llm")
    assert tries == 2 * [("llm:claude", False)] + 2 * [("llm:openrouter", True)]


async def test_when_nobody_answers_the_person_reads_an_apology_and_the_trace_has_the_reason(
    bot: BotProcess, repo: TraceRepo
) -> None:
    bot.claude.fail(OVERLOADED)
    bot.openrouter.fail(503)
    ada = bot.person(42, "Ada")
    await ada.says("/learn swimming")
    await ada.hears(APOLOGY)
    trace, _ = await stored(repo, "learn")
    assert trace.state == "error"
    assert "no provider answered" in (trace.error or "")


@pytest.mark.parametrize(
    ("nonsense", "handler"),
    [
        ("/learn", "on_learn"),
        ("/train " + "x" * 500, "on_train"),
        ("/dance", "on_unknown_command"),
        ("x" * 3_000, "on_question"),
    ],
)
async def test_nonsense_is_answered_and_starts_no_pipeline(
    bot: BotProcess, repo: TraceRepo, nonsense: str, handler: str
) -> None:
    ada = bot.person(42, "Ada")
    said = await ada.says(nonsense)
    await ada.hears(after=said)
    (trace,) = (await pipelines(repo, ada.id, 1)).values()
    assert (trace.pipeline_name, trace.span_count, trace.success) == (handler, 0, True)
    assert bot.claude.calls == bot.openrouter.calls == []


async def test_an_admin_asks_in_the_chat_why_the_reply_was_slow(bot: BotProcess, repo: TraceRepo) -> None:
    bot.claude.fail(200, delay=SLOW)  # the first call, which is the strategist's
    admin, bob = bot.person(ADMIN, "Grace"), bot.person(8, "Bob")
    await admin.says("/learn swimming")
    await stored(repo, "learn")
    slow = await admin.hears("swimming")

    async def explained(message: ChatMessage) -> ChatMessage:
        return await admin.hears(after=await admin.replies(message, "/why"))

    answer = await explained(slow)
    (strategist,) = [one for one in answer.text.splitlines() if "agent:strategist" in one]
    assert float(re.findall(r"agent:strategist (\d+\.\d+) s", strategist)[0]) >= SLOW
    assert "llm:claude" in answer.text
    asked = await bob.says("/why")
    assert "llm:claude" not in (await bob.hears(after=asked)).text
    assert [name for name, _ in bob.menu] == ["learn", "train", "help"]
    assert {"why", "traces", "dlq"} <= {name for name, _ in admin.menu}
