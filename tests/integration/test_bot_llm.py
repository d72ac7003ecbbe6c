"""The bot's providers and its router: what they answer, and what the spans of their calls say."""

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from examples.bot.llm import claude as claude_module
from examples.bot.llm import openrouter as openrouter_module
from examples.bot.llm.claude import Claude
from examples.bot.llm.errors import NoProviderLeft, ProviderUnavailable, RequestRefused
from examples.bot.llm.openrouter import OpenRouter
from examples.bot.llm.router import Router
from examples.bot.stand_ins.answers import answer, chunks, token_count
from examples.bot.stand_ins.anthropic import AnthropicStandIn
from examples.bot.stand_ins.openrouter import OpenRouterStandIn
from tracequeue import TraceContext, traced_span

SYSTEM, PROMPT = "You are a trainer. Answer with a plan.", "Topic: swimming"
ANSWER = answer(PROMPT, SYSTEM)
KEY = "not-to-be-seen-anywhere"
UNAVAILABLE = [408, 429, 500, 502, 503, 529]
REFUSED = [400, 401, 402, 403, 404, 413, 422]


@pytest.fixture
async def anthropic() -> AsyncIterator[AnthropicStandIn]:
    async with AnthropicStandIn.running(key=KEY, pause=0) as stand_in:
        yield stand_in


@pytest.fixture
async def gateway() -> AsyncIterator[OpenRouterStandIn]:
    async with OpenRouterStandIn.running(key=KEY, pause=0) as stand_in:
        yield stand_in


@pytest.fixture
async def claude(anthropic: AnthropicStandIn) -> AsyncIterator[Claude]:
    provider = Claude(KEY, anthropic.url)
    yield provider
    await provider.close()


@pytest.fixture
async def openrouter(gateway: OpenRouterStandIn) -> AsyncIterator[OpenRouter]:
    provider = OpenRouter(KEY, gateway.url)
    yield provider
    await provider.close()


@pytest.fixture
def router(claude: Claude, openrouter: OpenRouter) -> Router:
    return Router([claude, openrouter])


@pytest.fixture(params=["claude", "openrouter"])
def either(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A provider, and the stand-in that it asks."""
    stand_in = "anthropic" if request.param == "claude" else "gateway"
    return request.getfixturevalue(request.param), request.getfixturevalue(stand_in)


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in span.get("attributes", {}).items() if name != "exception.stacktrace"}


def times_to_first_chunk(*spans: dict[str, Any]) -> list[float]:
    """Takes them out of the spans: every run has other ones."""
    return [span["attributes"].pop("gen_ai.response.time_to_first_chunk") for span in spans]


async def collected(stream: AsyncIterator[str]) -> list[str]:
    return [chunk async for chunk in stream]


def usage_of_claude(**more: object) -> dict[str, Any]:
    return {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-haiku-5-5",
        "gen_ai.response.model": "claude-haiku-5-5",
        "gen_ai.response.finish_reasons": ["end_turn"],
        "gen_ai.usage.input_tokens": token_count(SYSTEM) + token_count(PROMPT),
        "gen_ai.usage.output_tokens": token_count(ANSWER),
        **more,
    }


def usage_of_openrouter(**more: object) -> dict[str, Any]:
    return usage_of_claude() | {
        "gen_ai.provider.name": "openrouter",
        "gen_ai.request.model": "openai/gpt-4o-mini",
        "gen_ai.response.model": "openai/gpt-4o-mini",
        "gen_ai.response.finish_reasons": ["stop"],
        **more,
    }


WRITTEN = {"gen_ai.usage.cache_write.input_tokens": token_count(SYSTEM)}
READ = {"gen_ai.usage.cache_read.input_tokens": token_count(SYSTEM)}


async def test_complete_is_a_span_with_the_facts_of_the_model(recorded, claude, openrouter):
    async with TraceContext("learn"):
        for provider in (claude, claude, openrouter, openrouter):
            assert await provider.complete(PROMPT, system=SYSTEM) == ANSWER
    spans = recorded.spans
    assert [attributes(span) for span in spans] == [
        usage_of_claude(**WRITTEN),
        usage_of_claude(**READ),
        usage_of_openrouter(),
        usage_of_openrouter(**READ),
    ]
    assert [span["span_name"] for span in spans] == ["llm:claude"] * 2 + ["llm:openrouter"] * 2
    assert {span["kind"] for span in spans} == {"llm"}
    assert spans[0]["input_data"] == {"prompt": PROMPT, "system": SYSTEM}
    assert spans[0]["output_data"] == ANSWER


async def test_stream_is_a_span_with_the_facts_of_the_model(recorded, claude, openrouter, anthropic, gateway):
    anthropic.fail(200, delay=0.05)
    gateway.fail(200, delay=0.05)
    async with TraceContext("learn"):
        for provider in (claude, openrouter):
            assert await collected(provider.stream(PROMPT, system=SYSTEM)) == list(chunks(ANSWER))
    spans = recorded.spans
    assert all(seconds >= 0.05 for seconds in times_to_first_chunk(*spans))
    assert [attributes(span) for span in spans] == [usage_of_claude(**WRITTEN), usage_of_openrouter()]
    assert [(span["span_name"], span["kind"]) for span in spans] == [("llm:claude", "llm"), ("llm:openrouter", "llm")]
    assert [span["output_data"] for span in spans] == [ANSWER] * 2


async def test_an_answer_without_a_system_prompt_is_cut_at_max_tokens(recorded, anthropic, gateway):
    providers = Claude(KEY, anthropic.url, max_tokens=5), OpenRouter(KEY, gateway.url, max_tokens=5)
    async with TraceContext("learn"):
        for provider in providers:
            assert await provider.complete(PROMPT) == answer(PROMPT)[:20]
            await provider.close()
    reasons = [span["attributes"]["gen_ai.response.finish_reasons"] for span in recorded.spans]
    assert reasons == [["max_tokens"], ["length"]]


async def test_a_stream_that_nobody_reads_to_its_end_is_a_cancelled_span(recorded, claude):
    async with TraceContext("learn"), aclosing(claude.stream(PROMPT, system=SYSTEM)) as stream:
        first = await anext(stream)
    [span] = recorded.spans
    assert (span["status"], span["output_data"]) == ("cancelled", first)
    assert attributes(span)["gen_ai.usage.input_tokens"] == token_count(SYSTEM) + token_count(PROMPT)


async def test_without_a_trace_they_answer_all_the_same(either):
    provider, _ = either
    assert await provider.complete(PROMPT, system=SYSTEM) == ANSWER
    assert "".join(await collected(provider.stream(PROMPT, system=SYSTEM))) == ANSWER


@pytest.mark.parametrize("status", UNAVAILABLE + REFUSED)
async def test_a_status_is_told_apart_in_both_ways_of_asking(recorded, either, status):
    provider, stand_in = either
    stand_in.fail(status, times=2)
    expected = ProviderUnavailable if status in UNAVAILABLE else RequestRefused
    async with TraceContext("learn"):
        with pytest.raises(expected, match=f"^{provider.name} .*{status}: .*scripted to fail"):
            await provider.complete(PROMPT)
        with pytest.raises(expected, match=f"^{provider.name} .*{status}: .*scripted to fail"):
            await collected(provider.stream(PROMPT))
    assert len(stand_in.calls) == 2
    for span in recorded.spans:
        assert span["status"] == "error"
        assert span["error"].startswith(f"{expected.__name__}: {provider.name} ")
        assert set(attributes(span)) == {"gen_ai.provider.name", "gen_ai.request.model"}


async def test_connections_and_time_run_out(anthropic, gateway):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        for provider in (Claude(KEY, nowhere), OpenRouter(KEY, nowhere)):
            with pytest.raises(ProviderUnavailable, match=f"^{provider.name} cannot be reached: "):
                await provider.complete(PROMPT)
            await provider.close()
    for stand_in, impatient in (
        (anthropic, Claude(KEY, anthropic.url, timeout=0.2)),
        (gateway, OpenRouter(KEY, gateway.url, timeout=0.2)),
    ):
        stand_in.fail(200, delay=600, times=2)
        with pytest.raises(ProviderUnavailable, match="gave no answer in time"):
            await impatient.complete(PROMPT)
        with pytest.raises(ProviderUnavailable, match="gave no answer in time"):
            await collected(impatient.stream(PROMPT))
        stand_in.fail(None)
        with pytest.raises(ProviderUnavailable, match="cannot be reached: Server disconnected"):
            await impatient.complete(PROMPT)
        await impatient.close()


@pytest.mark.parametrize("status", [500, 529, None])
async def test_a_stream_that_breaks_is_a_failed_span_with_what_came(recorded, either, status):
    provider, stand_in = either
    stand_in.fail(status, midstream=True)
    async with TraceContext("learn"):
        stream = provider.stream(PROMPT, system=SYSTEM)
        first = await anext(stream)
        with pytest.raises(ProviderUnavailable):
            await anext(stream)
    [span] = recorded.spans
    assert first == next(chunks(ANSWER)) == span["output_data"]
    assert span["status"] == "error"
    assert times_to_first_chunk(span)[0] > 0


async def test_an_error_in_the_body_of_an_answer_is_the_providers_fault(gateway, openrouter):
    gateway.fail(502, midstream=True)
    with pytest.raises(ProviderUnavailable, match=r"openrouter answered what is no answer: .*502"):
        await openrouter.complete(PROMPT)


async def test_the_key_is_in_no_event_and_no_log(recorded, caplog, either):
    caplog.set_level(logging.DEBUG)
    provider, stand_in = either
    stand_in.fail(529)
    stand_in.fail(400)
    async with TraceContext("learn"):
        for expected in (ProviderUnavailable, RequestRefused):
            with pytest.raises(expected):
                await provider.complete(PROMPT)
        await provider.complete(PROMPT)
        stranger = type(provider)("another-" + KEY, stand_in.url)
        with pytest.raises(RequestRefused, match=r"401: .*check the API key"):
            await stranger.complete(PROMPT)
        await stranger.close()
    assert len(recorded.spans) == 4
    assert KEY not in str(recorded.events)
    assert KEY not in caplog.text
    assert KEY not in str(stand_in.calls)


@traced_span("agent:trainer", kind="agent")
async def train(router: Router) -> str:
    return await router.complete(PROMPT, system=SYSTEM)


@traced_span("agent:trainer", kind="agent")
async def train_streaming(router: Router) -> str:
    return "".join([chunk async for chunk in router.stream(PROMPT, system=SYSTEM)])


@pytest.mark.parametrize("run", [train, train_streaming])
async def test_the_first_provider_answers_and_the_second_is_not_asked(recorded, gateway, router, run):
    async with TraceContext("learn"):
        assert await run(router) == ANSWER
    call, agent = recorded.spans
    assert (call["span_name"], call["parent_span_id"]) == ("llm:claude", agent["span_id"])
    assert gateway.calls == []


@pytest.mark.parametrize("run", [train, train_streaming])
@pytest.mark.parametrize("status", [429, 500, 529, None])
async def test_it_falls_back_and_both_tries_are_spans_of_the_agent(recorded, caplog, anthropic, router, run, status):
    anthropic.fail(status)
    async with TraceContext("learn"):
        assert await run(router) == ANSWER
        assert await run(router) == ANSWER
    failed, answered, agent, again, _ = recorded.spans
    assert [(span["span_name"], span["status"]) for span in (failed, answered, agent, again)] == [
        ("llm:claude", "error"), ("llm:openrouter", "ok"), ("agent:trainer", "ok"), ("llm:claude", "ok"),
    ]  # fmt: skip
    assert failed["parent_span_id"] == answered["parent_span_id"] == agent["span_id"]
    assert recorded.traces[0]["status"] == "ok"
    assert failed["error"].removeprefix("ProviderUnavailable: ") in caplog.text


@pytest.mark.parametrize("run", [train, train_streaming])
@pytest.mark.parametrize("status", [400, 401, 402])
async def test_a_refused_request_is_raised_at_once(recorded, anthropic, gateway, router, run, status):
    anthropic.fail(status)
    async with TraceContext("learn"):
        with pytest.raises(RequestRefused, match=f"claude refused the request with {status}"):
            await run(router)
    assert [span["span_name"] for span in recorded.spans] == ["llm:claude", "agent:trainer"]
    assert gateway.calls == []


@pytest.mark.parametrize("run", [train, train_streaming])
async def test_when_all_fail_the_error_names_each_and_why(recorded, anthropic, gateway, router, run):
    anthropic.fail(529)
    gateway.fail(503)
    async with TraceContext("learn"):
        with pytest.raises(NoProviderLeft) as raised:
            await run(router)
    assert str(raised.value) == (
        "no provider answered: claude answered 529: overloaded_error: scripted to fail; "
        "openrouter answered 503: scripted to fail; try again later"
    )
    assert [span["status"] for span in recorded.spans] == ["error"] * 3


async def test_a_stream_falls_back_before_its_first_chunk_only(recorded, anthropic, gateway, router):
    anthropic.fail(529, midstream=True)
    async with TraceContext("learn"):
        stream = router.stream(PROMPT, system=SYSTEM)
        assert await anext(stream) == next(chunks(ANSWER))
        with pytest.raises(ProviderUnavailable, match="claude answered 529"):
            await anext(stream)
    assert [span["span_name"] for span in recorded.spans] == ["llm:claude"]
    assert gateway.calls == []


async def test_whoever_leaves_a_routed_stream_ends_the_call(recorded, router):
    async with TraceContext("learn"):
        async with aclosing(router.stream(PROMPT, system=SYSTEM)) as stream:
            await anext(stream)
        assert [span["status"] for span in recorded.spans] == ["cancelled"]
    await router.close()


def test_a_router_needs_a_provider():
    with pytest.raises(ValueError, match="at least one provider"):
        Router([])


@pytest.mark.parametrize(
    ("provider", "model"), [("anthropic", claude_module.MODEL), ("openrouter", openrouter_module.MODEL)]
)
def test_the_price_of_the_default_models_is_known(provider, model):
    price = calc_price(Usage(input_tokens=1000, output_tokens=1000), model, provider_id=provider)
    assert price.total_price > 0
    assert price.model.id == model
