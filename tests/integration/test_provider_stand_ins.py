"""The vendors' own SDKs, unpatched, against the stand-ins for their servers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anthropic
import httpx
import httpx2
import openrouter
import pytest
from openrouter.utils import BackoffStrategy, RetryConfig

from examples.bot.stand_ins.answers import answer, chunks, token_count, topic_of
from examples.bot.stand_ins.anthropic import AnthropicStandIn
from examples.bot.stand_ins.openrouter import OpenRouterStandIn
from tests.fixtures.polling import eventually

SYSTEM = "You are a trainer. Answer with a plan."
PROMPT = "Three steps, please.\nTopic: swimming"
ASKED = {"model": "claude-haiku-5-5", "max_tokens": 1000, "messages": [{"role": "user", "content": PROMPT}]}
MARKED = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]
CHAT = {
    "model": "openai/gpt-4o-mini",
    "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}],
}


@pytest.fixture
async def claude() -> AsyncIterator[AnthropicStandIn]:
    async with AnthropicStandIn.running(pause=0) as stand_in:
        yield stand_in


@pytest.fixture
async def sdk(claude: AnthropicStandIn) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key=claude.key, base_url=claude.url, max_retries=0) as client:
        yield client


@pytest.fixture
async def router() -> AsyncIterator[OpenRouterStandIn]:
    async with OpenRouterStandIn.running(pause=0) as stand_in:
        yield stand_in


@pytest.fixture
async def chat(router: OpenRouterStandIn) -> AsyncIterator[Any]:
    async with openrouter.OpenRouter(api_key=router.key, server_url=router.url, retry_config=None) as client:
        yield client.chat


def test_answers_are_a_function_of_what_was_asked():
    plan = answer(PROMPT, SYSTEM)
    assert plan == answer(PROMPT, SYSTEM)
    assert plan != answer(PROMPT + "\nTopic: chess", SYSTEM)
    assert plan.splitlines()[0] == "A plan for swimming:"
    assert answer("Give me 4 exercises.\nTopic: chess").count("chess") == 5
    assert answer("Text: chess", "At most five short points.").count("\n") == 4
    assert answer("A plan:\n1. read\n\nText: chess", "Answer a question.").count("chess") == 3
    assert "".join(chunks(plan)) == plan
    assert len(list(chunks(plan))) > 3
    assert topic_of("hello\n\nHow do I swim?\n") == "How do I swim"
    assert topic_of(" \n") == "your question"
    assert [token_count(text) for text in ("", "a", "four", "fives")] == [0, 1, 1, 2]


async def test_a_message_comes_whole_with_its_usage(claude, sdk):
    message = await sdk.messages.create(**ASKED, system=SYSTEM)
    text = message.content[0].text
    assert text == answer(PROMPT, SYSTEM)
    assert (message.role, message.model, message.stop_reason) == ("assistant", ASKED["model"], "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (
        token_count(SYSTEM + PROMPT),
        token_count(text),
    )
    assert message._request_id.startswith("req_")
    assert claude.calls == [{**ASKED, "system": SYSTEM}]


async def test_a_message_is_cut_at_max_tokens(sdk):
    message = await sdk.messages.create(**ASKED | {"max_tokens": 5}, system=SYSTEM)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 5)
    assert message.content[0].text == answer(PROMPT, SYSTEM)[:20]


async def test_a_message_is_streamed_in_the_documented_events(sdk):
    events = [event async for event in await sdk.messages.create(**ASKED, system=SYSTEM, stream=True)]
    kinds = [event.type for event in events]
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    middle = ["content_block_delta"] * len(deltas)
    assert kinds == [
        "message_start", "content_block_start", *middle, "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    assert len(deltas) > 3
    text = "".join(deltas)
    assert text == answer(PROMPT, SYSTEM)
    assert events[0].message.usage.input_tokens == token_count(SYSTEM + PROMPT)
    assert events[-2].delta.stop_reason == "end_turn"
    assert events[-2].usage.output_tokens == token_count(text)


async def test_the_stream_on_the_wire_has_pings(claude):
    body = ASKED | {"stream": True}
    headers = {"x-api-key": claude.key, "anthropic-version": "2023-06-01"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{claude.url}/v1/messages", json=body, headers=headers) as got,
    ):
        events = (await got.text()).split("\n\n")
    assert got.headers["Content-Type"] == "text/event-stream"
    assert 'event: ping\ndata: {"type":"ping"}' in events


async def test_a_marked_system_prompt_is_written_to_the_cache_once_and_then_read(sdk):
    async def used(**other: object) -> tuple[int, int, int]:
        usage = (await sdk.messages.create(**ASKED | {"system": MARKED} | other)).usage
        return usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens

    prompt, system = token_count(PROMPT), token_count(SYSTEM)
    assert await used() == (prompt, system, 0)
    assert await used() == (prompt, 0, system)
    assert await used(messages=[{"role": "user", "content": "four"}]) == (1, 0, system)
    assert await used(model="claude-sonnet-5-5") == (prompt, system, 0)
    assert await used(system=SYSTEM) == (token_count(SYSTEM + PROMPT), 0, 0)
    async with sdk.messages.stream(**ASKED, system=MARKED) as stream:
        assert (await stream.get_final_message()).usage.cache_read_input_tokens == system


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_scripted_status_is_the_error_of_the_sdk(claude, sdk, status, error, kind, stream):
    claude.fail(status, times=2, retry_after=7)
    for _ in range(2):
        with pytest.raises(error) as raised:
            await sdk.messages.create(**ASKED, stream=stream)
        assert (raised.value.status_code, raised.value.type) == (status, kind)
        assert raised.value.body["type"] == "error"
        assert raised.value.response.headers["retry-after"] == "7"
    await sdk.messages.create(**ASKED, stream=stream)
    assert len(claude.calls) == 3


async def test_the_sdk_tries_again_after_what_retry_after_says(claude, sdk):
    claude.fail(529, times=2, retry_after=0.01)
    message = await sdk.with_options(max_retries=2).messages.create(**ASKED)
    assert message.content[0].text
    assert len(claude.calls) == 3


async def test_an_error_in_the_midst_of_a_stream_comes_after_a_chunk(claude, sdk):
    claude.fail(529, midstream=True)
    assert (await sdk.messages.create(**ASKED)).stop_reason == "end_turn"
    stream = await sdk.messages.create(**ASKED, stream=True)
    kinds = [(await anext(stream)).type for _ in range(3)]
    assert kinds == ["message_start", "content_block_start", "content_block_delta"]
    with pytest.raises(anthropic.APIStatusError) as raised:
        await anext(stream)
    assert (raised.value.status_code, raised.value.type) == (200, "overloaded_error")


async def test_a_cut_connection_and_a_late_answer(claude, sdk):
    claude.fail(None)
    with pytest.raises(anthropic.APIConnectionError):
        await sdk.messages.create(**ASKED)
    claude.fail(None, midstream=True)
    with pytest.raises(httpx2.RemoteProtocolError):
        [event async for event in await sdk.messages.create(**ASKED, stream=True)]
    claude.fail(200, delay=600)
    with pytest.raises(anthropic.APITimeoutError):
        await sdk.with_options(timeout=0.2).messages.create(**ASKED)
    claude.fail(200, delay=0.01)
    assert (await sdk.messages.create(**ASKED)).stop_reason == "end_turn"


async def test_what_the_messages_api_refuses(claude, sdk):
    def refused(**other: object) -> Any:
        return sdk.messages.create(**ASKED | other)

    with pytest.raises(anthropic.NotFoundError, match="model: gpt-4"):
        await refused(model="gpt-4")
    with pytest.raises(anthropic.BadRequestError, match="max_tokens: Input should be greater than or equal to 1"):
        await refused(max_tokens=0)
    with pytest.raises(anthropic.BadRequestError, match="messages: List should have at least 1 item"):
        await refused(messages=[])
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.role"):
        await refused(messages=[{"role": "system", "content": "x"}])
    with pytest.raises(anthropic.AuthenticationError, match="not valid") as raised:
        await sdk.with_options(api_key="wrong-key").messages.create(**ASKED)
    assert raised.value.type == "authentication_error"


@pytest.mark.parametrize(
    ("stand_in", "error_of"),
    [
        (AnthropicStandIn, lambda body: body["error"]["type"]),
        (OpenRouterStandIn, lambda body: body["error"]["code"]),
    ],
)
async def test_what_no_sdk_would_send_is_refused_too(stand_in, error_of):
    async with stand_in.running() as server, aiohttp.ClientSession() as http:
        url = server.url.removesuffix(server.base_path) + server.path

        async def asked(data: str, **headers: str) -> tuple[int, object]:
            async with http.post(url, data=data, headers=headers) as response:
                return response.status, error_of(await response.json())

        key = {"Authorization": f"Bearer {server.key}", "anthropic-version": "2026-10-21"}
        bad, unknown = ("invalid_request_error", "authentication_error") if server.base_path == "" else (400, 401)
        assert await asked("{", **key) == (400, bad)
        assert await asked("[]", **key) == (400, bad)
        assert await asked("{}", **key) == (400, bad)
        assert await asked("{}") == (401, unknown)
        assert await asked("{}", Authorization="Bearer wrong-key") == (401, unknown)
        assert "wrong-key" not in json.dumps(server.calls)
        if stand_in is AnthropicStandIn:
            assert await asked(json.dumps(ASKED), Authorization=key["Authorization"]) == (400, bad)


@pytest.mark.parametrize("stand_in", [AnthropicStandIn, OpenRouterStandIn])
async def test_a_stand_in_stops_while_somebody_waits_for_it(stand_in):
    async with aiohttp.ClientSession() as http:
        async with stand_in.running() as server:
            server.fail(200, delay=600)
            url = server.url.removesuffix(server.base_path) + server.path
            headers = {"Authorization": f"Bearer {server.key}", "anthropic-version": "2026-10-21"}
            waiting = asyncio.create_task(http.post(url, json=ASKED | {"model": "claude-/x"}, headers=headers))
            await eventually(lambda: server.calls)
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_a_chat_comes_whole_with_its_usage(router, chat):
    result = await chat.send_async(**CHAT)
    choice = result.choices[0]
    assert choice.message.content == answer(PROMPT, SYSTEM)
    assert (result.model, choice.finish_reason) == (CHAT["model"], "stop")
    prompt, text = token_count(SYSTEM) + token_count(PROMPT), token_count(choice.message.content)
    usage = result.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (prompt, text, prompt + text)
    assert usage.prompt_tokens_details.cached_tokens == 0
    assert router.calls[0]["messages"] == CHAT["messages"]
    again = (await chat.send_async(**CHAT, max_tokens=5)).usage
    assert (again.prompt_tokens, again.completion_tokens) == (prompt, 5)
    assert again.prompt_tokens_details.cached_tokens == token_count(SYSTEM)


async def test_a_chat_is_streamed_and_ends_with_its_usage(chat):
    async with await chat.send_async(**CHAT, stream=True) as stream:
        events = [event async for event in stream]
    texts = [event.choices[0].delta.content for event in events if event.choices]
    assert "".join(texts) == answer(PROMPT, SYSTEM)
    assert len([text for text in texts if text]) > 3
    assert [event.choices[0].finish_reason for event in events if event.choices][-1] == "stop"
    assert [bool(event.usage) for event in events] == [False] * (len(events) - 1) + [True]
    assert events[-1].choices == []
    assert events[-1].usage.completion_tokens == token_count(answer(PROMPT, SYSTEM))


async def test_the_stream_of_a_chat_has_comments_and_a_last_line(router):
    headers = {"Authorization": f"Bearer {router.key}"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{router.url}/chat/completions", json=CHAT | {"stream": True}, headers=headers) as got,
    ):
        blocks = (await got.text()).split("\n\n")
    assert got.headers["Content-Type"] == "text/event-stream"
    assert got.headers["X-Generation-Id"] == json.loads(blocks[-3].removeprefix("data: "))["id"]
    assert blocks[0] == ": OPENROUTER PROCESSING"
    assert blocks[-2:] == ["data: [DONE]", ""]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, openrouter.errors.UnauthorizedResponseError),
        (402, openrouter.errors.PaymentRequiredResponseError),
        (429, openrouter.errors.TooManyRequestsResponseError),
        (502, openrouter.errors.BadGatewayResponseError),
        (503, openrouter.errors.ServiceUnavailableResponseError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_scripted_status_is_the_error_of_openrouters_sdk(router, chat, status, error, stream):
    router.fail(status, retry_after=2.5)
    with pytest.raises(error) as raised:
        await chat.send_async(**CHAT, stream=stream)
    assert raised.value.data.error.code == status
    assert raised.value.headers["retry-after"] == "2.5"
    await chat.send_async(**CHAT)


async def test_openrouters_sdk_tries_again_after_what_retry_after_says(router, chat):
    router.fail(503, times=2, retry_after=0.01)
    backoff = RetryConfig("backoff", BackoffStrategy(10, 10, 1, 60_000), retry_connection_errors=True)
    assert (await chat.send_async(**CHAT, retries=backoff)).choices[0].finish_reason == "stop"
    assert len(router.calls) == 3


async def test_an_error_in_the_midst_of_a_chat(router, chat):
    router.fail(502, times=2, midstream=True)
    async with await chat.send_async(**CHAT, stream=True) as stream:
        events = [event async for event in stream]
    assert events[1].choices[0].delta.content
    assert (events[-1].error.code, events[-1].error.metadata.error_type) == (502, "provider_unavailable")
    assert events[-1].choices[0].finish_reason == "error"
    with pytest.raises(openrouter.errors.ResponseValidationError) as raised:
        await chat.send_async(**CHAT)
    assert (raised.value.status_code, json.loads(raised.value.body)["error"]["code"]) == (200, 502)


async def test_a_cut_connection_and_a_late_chat(router, chat):
    router.fail(None)
    with pytest.raises(httpx.RemoteProtocolError):
        await chat.send_async(**CHAT)
    router.fail(None, midstream=True)
    with pytest.raises(httpx.RemoteProtocolError):
        async with await chat.send_async(**CHAT, stream=True) as stream:
            [event async for event in stream]
    router.fail(200, delay=600)
    with pytest.raises(httpx.ReadTimeout):
        await chat.send_async(**CHAT, timeout_ms=200)


async def test_what_the_chat_api_refuses(router, chat):
    with pytest.raises(openrouter.errors.BadRequestResponseError, match="gpt is not a valid model ID"):
        await chat.send_async(**CHAT | {"model": "gpt"})
    with pytest.raises(openrouter.errors.BadRequestResponseError, match="messages: List should have at least 1 item"):
        await chat.send_async(**CHAT | {"messages": []})
    stranger = openrouter.OpenRouter(api_key="wrong-key", server_url=router.url, retry_config=None)
    async with stranger as client:
        with pytest.raises(openrouter.errors.UnauthorizedResponseError, match="not valid"):
            await client.chat.send_async(**CHAT)
