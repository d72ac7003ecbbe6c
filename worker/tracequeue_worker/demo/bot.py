"""The demo's bot: pipelines of agents over a stand-in for an LLM, traced with the three lines that a user writes.

`python -m tracequeue_worker.demo.bot --pipelines 60` runs by itself against `TRACEQUEUE_REDIS_URL`; it prints
its emitter id and what became of its events as one line of JSON.
"""

import argparse
import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import suppress

from tracequeue import TraceContext, init_collector, span, traced_span
from tracequeue.gen_ai import record_request

WORDS = (
    *("plan", "learner", "asked", "leaves", "room", "repeat", "hard", "part", "twice", "week"),
    *("short", "exercise", "each", "day", "worth", "more", "long", "nobody", "finishes", "because"),
)
AT_ONCE = 8


class Claude:
    """Streams words as a provider would; no network, no key."""

    model = "stand-in-1"

    @traced_span("llm:claude", kind="llm")
    async def complete(self, prompt: str) -> AsyncIterator[str]:
        record_request("anthropic", self.model)
        for word in random.choices(WORDS, k=12):
            await asyncio.sleep(random.uniform(0.001, 0.004))
            yield word + " "


class OpenRouter:
    """The second provider: answers at once, and is down when asked for `support_regen`."""

    model = "stand-in-2"

    @traced_span("llm:openrouter", kind="llm")
    async def complete(self, prompt: str) -> str:
        record_request("openrouter", self.model)
        await asyncio.sleep(random.uniform(0.002, 0.008))
        if "again" in prompt:
            raise ConnectionError("openrouter answered 503: no capacity")
        return " ".join(random.choices(WORDS, k=20))


class Agent:
    """One step of a pipeline. Each kind of agent is a method, so that each has a span name of its own."""

    def __init__(self) -> None:
        self._claude = Claude()
        self._openrouter = OpenRouter()

    @traced_span("agent:trainer", kind="agent")
    async def train(self, text: str, plan: str) -> str:
        return "".join([word async for word in self._claude.complete(f"{text}\n{plan}")])

    @traced_span("agent:strategist", kind="agent")
    async def plan(self, text: str) -> str:
        return await self._openrouter.complete(f"Make a plan for: {text}")

    @traced_span("agent:memory", kind="agent")
    async def remember(self, user_id: int) -> list[str]:
        with span("db:lookup", kind="tool") as lookup:
            await asyncio.sleep(0.002)
            notes = [f"note {number} of user {user_id}" for number in range(3)]
            lookup.set_output(notes)
        return notes


async def run_pipeline(agent: Agent, name: str, user_id: int) -> None:
    """Memory and strategist run side by side; the trainer needs both."""
    text = "please explain it again" if name == "support_regen" else "I want to learn to swim"
    async with TraceContext(name, telegram_id=100_000 + user_id, user_id=user_id, tags=["demo"]):
        notes, plan = await asyncio.gather(agent.remember(user_id), agent.plan(text))
        await agent.train(text + notes[0], plan)


async def main(pipelines: int) -> None:
    collector = init_collector(service="demo-bot")
    await collector.start()
    agent, seats = Agent(), asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        name = ("learn", "train", "support")[number % 3]
        async with seats:
            await run_pipeline(agent, name, number)

    async def failing() -> None:
        with suppress(ConnectionError):  # the bot apologises to its user; the trace has the reason
            await run_pipeline(agent, "support_regen", 7)

    await asyncio.gather(failing(), *(one(number) for number in range(pipelines)))
    stats = await collector.stop(timeout=30)
    print(  # noqa: T201 - the result of this program
        json.dumps(
            {
                "emitter_id": collector.identity.emitter_id,
                "emitted": stats.emitted,
                "published": stats.published,
                "dropped": stats.dropped,
            }
        )
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipelines", type=int, default=60)
    asyncio.run(main(parser.parse_args().pipelines))
