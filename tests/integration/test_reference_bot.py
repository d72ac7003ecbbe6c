"""The reference bot from a person's message to the rows of its trace, on real servers."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from examples.bot.handlers import other, support
from examples.bot.progress import APOLOGY, BEGINNING, INTERRUPTED
from examples.bot.stand_ins.telegram import ChatMessage, Person
from tests.fixtures.oracle import Site
from tests.fixtures.polling import eventually
from tests.fixtures.reference_bot import RunningBot, bot_process, running_bot, stand_ins
from tests.fixtures.stored import edges, named, stored
from tracequeue.telegram import MESSAGES, message_key
from tracequeue_worker.repo import TraceRepo

UNAVAILABLE = 529


@pytest.fixture
async def bot(site: Site) -> AsyncIterator[RunningBot]:
    async with site.working(), running_bot(site) as bot:
        yield bot


def shown(person: Person) -> str:
    """Everything that a person ever saw of the bot."""
    return "\n".join("\n".join((*message.past, message.text)) for message in person.chat)


async def test_a_person_learns_and_the_trace_has_every_step(bot: RunningBot, repo: TraceRepo) -> None:
    ada = bot.person(42, "Ada")
    await ada.says("/learn swimming")
    answer = await ada.hears("swimming")
    trace, spans = await stored(repo, "learn")
    assert (trace.state, trace.telegram_id, trace.user_id, trace.session_id) == ("ok", 42, 1, "42")
    assert (trace.metadata or {})[MESSAGES] == [message_key(answer.sender.id, 42, answer.message_id)]
    assert edges(spans) == [
        ("", "agent:memory"), ("", "agent:strategist"), ("", "agent:trainer"),
        ("agent:strategist", "llm:claude"), ("agent:trainer", "llm:claude"),
    ]  # fmt: skip
    memory, strategist, trainer = (named(spans, f"agent:{name}") for name in ("memory", "strategist", "trainer"))
    assert memory.start_time < strategist.end_time
    assert strategist.start_time < memory.end_time < trainer.start_time
    assert (trainer.input_data or {})["task"]["text"] == "swimming"
    assert trainer.output_data == answer.text
    assert {(span.attributes or {})["gen_ai.request.model"] for span in spans if span.kind == "llm"} == {
        bot.claude.calls[0]["model"]
    }


async def test_the_answer_grows_while_it_is_written(bot: RunningBot, repo: TraceRepo) -> None:
    bot.claude.pause = 0.2
    ada = bot.person(42, "Ada")
    await ada.says("/TRAIN swimming")
    _, spans = await stored(repo, "train")
    (message,) = [message for message in ada.chat if message.sender.is_bot]
    assert message.past[0] == BEGINNING
    assert any(message.text.startswith(past) for past in message.past)
    assert named(spans, "agent:trainer").output_data == message.text
    assert named(spans, "agent:memory").end_time <= named(spans, "agent:strategist").start_time


async def test_a_question_is_answered_and_answered_again(bot: RunningBot, repo: TraceRepo) -> None:
    ada = bot.person(42, "Ada")
    await ada.says("Why is the sky blue?")
    first, _ = await stored(repo, "support")
    assert await ada.presses("Answer again") == support.AGAIN
    again, spans = await stored(repo, "support_regen")
    asked = named(spans, "agent:trainer").input_data or {}
    assert (asked["task"]["text"], again.telegram_id, again.user_id) == ("Why is the sky blue?", 42, 1)
    answers = [message for message in ada.chat if message.buttons == ["Answer again"]]
    assert [trace.metadata[MESSAGES] for trace in (first, again) if trace.metadata] == [
        [message_key(answer.sender.id, 42, answer.message_id)] for answer in answers
    ]
    assert asked["findings"]["memory"] == "- Why is the sky blue?"


async def test_a_button_that_is_pressed_twice_asks_once(bot: RunningBot, repo: TraceRepo) -> None:
    ada = bot.person(42, "Ada")
    await ada.says("Why is the sky blue?")
    await stored(repo, "support")
    bot.claude.fail(200, delay=1)
    presses = await asyncio.gather(ada.presses("Answer again"), ada.presses("Answer again"))
    assert sorted(map(str, presses)) == sorted([support.AGAIN, support.BUSY])
    await stored(repo, "support_regen")


async def test_after_a_restart_a_button_says_that_its_question_is_forgotten(site: Site) -> None:
    async with stand_ins() as world:
        ada = world.telegram.person(42, "Ada")
        async with running_bot(site, world):
            await ada.says("Why is the sky blue?")
            await eventually(lambda: any(message.buttons for message in ada.chat))
        async with running_bot(site, world):
            assert await ada.presses("Answer again") == support.FORGOTTEN


async def test_a_failed_pipeline_is_recorded_and_apologised_for(bot: RunningBot, repo: TraceRepo) -> None:
    bot.claude.fail(UNAVAILABLE, times=1)
    bot.openrouter.fail(503, times=1)
    ada = bot.person(42, "Ada")
    await ada.says("/learn swimming")
    apology = await ada.hears(APOLOGY)
    trace, spans = await stored(repo, "learn")
    assert (trace.state, trace.error is not None and "no provider answered" in trace.error) == ("error", True)
    assert (trace.metadata or {})[MESSAGES] == [message_key(apology.sender.id, 42, apology.message_id)]
    assert [(span.span_name, span.success) for span in spans if span.kind == "agent"] == [
        ("agent:memory", True), ("agent:strategist", False),
    ]  # fmt: skip
    assert "provider" not in shown(ada)
    await ada.says("/learn swimming")
    await ada.hears("swimming")


async def test_a_telegram_that_is_busy_or_unwell_does_not_fail_a_pipeline(bot: RunningBot, repo: TraceRepo) -> None:
    bot.claude.pause = 0.1
    bot.telegram.fail("sendMessage", status=500, times=1)
    bot.telegram.fail("editMessageText", status=429, retry_after=1, times=1)
    people = [bot.person(42, "Ada"), bot.person(43, "Bob")]
    for person in people:
        await person.says("/learn swimming")
        await person.hears("swimming")
        trace, _ = await stored(repo, "learn", person.id)
        assert trace.success


async def test_an_answer_that_nobody_can_be_given_is_a_failed_trace(bot: RunningBot, repo: TraceRepo) -> None:
    bot.claude.fail(200, delay=0.5)
    ada = bot.person(42, "Ada")
    await ada.says("/learn swimming")
    await ada.hears(BEGINNING)
    await ada.blocks_bot()
    trace, _ = await stored(repo, "learn")
    assert (trace.state, "blocked" in (trace.error or "")) == ("error", True)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("/learn", "/learn swimming"),
        ("/train   ", "/train swimming"),
        ("/learn " + "x" * 201, "at most 200 characters"),
        ("x" * 2001, "at most 2,000 characters"),
        ("/dance", other.UNKNOWN),
        ("/help", "/learn"),
        ("/start", "Hello, Ada!"),
    ],
)
async def test_what_is_no_task_is_answered_without_a_model(site: Site, said: str, answer: str) -> None:
    async with running_bot(site) as bot:
        ada = bot.person(42, "Ada")
        await ada.says(said)
        await ada.hears(answer)
        assert bot.claude.calls == []


async def test_a_message_without_text_is_answered(site: Site) -> None:
    async with running_bot(site) as bot:
        ada = bot.person(42, "Ada")
        await ada.sends_document("photo.jpg", b"\xff\xd8")
        await ada.hears(other.READABLE)
        assert ada.menu[0][0] == "learn"


async def test_an_admin_asks_in_the_chat_why_an_answer_and_an_apology_came_about(site: Site) -> None:
    async with site.working(), running_bot(site, bot_admin_ids=frozenset({42})) as bot:
        ada, bob = bot.person(42, "Ada"), bot.person(43, "Bob")
        await ada.says("/learn swimming")
        answer = await ada.hears("swimming")
        bot.claude.fail(401)
        await ada.says("/train chess")
        apology = await ada.hears(APOLOGY)
        for message, pipeline, error in ((answer, "learn", ""), (apology, "train", "RequestRefused")):

            async def explained(message: ChatMessage = message, pipeline: str = pipeline) -> ChatMessage | None:
                asked = await ada.replies(message, "/why")
                reply = await ada.hears(after=asked)
                return reply if pipeline in reply.text and "agent:strategist" in reply.text else None

            reply = await eventually(explained)
            assert reply is not None
            assert error in reply.text
        await bob.says("/traces")
        await bob.hears(other.UNKNOWN)


async def test_who_waits_too_long_at_the_end_is_told_and_the_trace_is_cancelled(site: Site, repo: TraceRepo) -> None:
    async with bot_process(site, bot_grace_seconds=0.1) as bot:
        bot.claude.fail(200, delay=600)
        ada = bot.person(42, "Ada")
        await ada.says("/learn swimming")
        await eventually(lambda: bot.claude.calls)
        bot.terminate()
        assert await bot.ended() == 0
        await ada.hears(INTERRUPTED)
    await site.drain()
    trace, spans = await stored(repo, "learn")
    assert trace.state == "cancelled"
    assert {named(spans, name).status for name in ("agent:strategist", "llm:claude")} == {"cancelled"}
