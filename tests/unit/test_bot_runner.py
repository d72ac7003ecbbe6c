"""The reference bot's pipelines: stages in order, agents of a stage at once, failures and cancellation."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from examples.bot.agents import Agent, Progress, Task
from examples.bot.pipelines.configuration import PIPELINES, Pipeline
from examples.bot.pipelines.runner import PipelineRunner
from examples.bot.users import User
from tests.fixtures.polling import eventually
from tracequeue import TraceContext, traced_span
from tracequeue.testing import MemoryCollector

ADA = User(42, "Ada", 1)


class Step:
    """An agent that does what a test says, and notes when it ran and what it knew."""

    def __init__(self, name: str, log: list[str], work: Callable[[], Awaitable[str]] | None = None) -> None:
        self.name, self.log = name, log
        self._work = work
        self.known: Mapping[str, str] = {}

    @traced_span("agent:step", kind="agent")
    async def run(self, task: Task, findings: Mapping[str, str], progress: Progress) -> str:
        self.known = findings
        self.log.append(f"{self.name} begins")
        try:
            return await self._work() if self._work else f"{self.name} of {task.text} for {task.user.name}"
        finally:
            self.log.append(f"{self.name} ends")


class Shown:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def show(self, text: str) -> None:
        self.texts.append(text)


def runner(stages: tuple[tuple[str, ...], ...], *agents: Step) -> PipelineRunner:
    by_name: dict[str, Agent] = {agent.name: agent for agent in agents}
    return PipelineRunner({"test": Pipeline("goal", stages)}, by_name)


async def run(runner: PipelineRunner, progress: Shown | None = None) -> str:
    return await runner.run("test", "chess", ADA, progress or Shown())


async def test_stages_run_in_order_and_hand_on_what_they_found() -> None:
    log: list[str] = []
    a, b, c, progress = Step("a", log), Step("b", log), Step("c", log), Shown()
    assert await run(runner((("a",), ("b",), ("c",)), a, b, c), progress) == "c of chess for Ada"
    assert log == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]
    assert (a.known, b.known) == ({}, {"a": "a of chess for Ada"})
    assert set(c.known) == {"a", "b"}
    assert progress.texts == [f"The {name} at work …" for name in "abc"]


async def test_agents_of_a_stage_run_at_once_and_do_not_see_each_other() -> None:
    together = asyncio.Barrier(2)

    async def meet() -> str:
        await together.wait()
        return "met"

    log: list[str] = []
    a, b, c = Step("a", log, meet), Step("b", log, meet), Step("c", log)
    await run(runner((("a", "b"), ("c",)), a, b, c))
    assert (a.known, b.known, c.known) == ({}, {}, {"a": "met", "b": "met"})


async def test_when_an_agent_fails_the_others_end_before_the_pipeline_does(recorded: MemoryCollector) -> None:
    failed = asyncio.Event()

    async def fail() -> str:
        failed.set()
        raise ConnectionError("no capacity")

    async def slow() -> str:
        await failed.wait()
        for _ in range(100):  # turns of the loop, in which the pipeline could end
            await asyncio.sleep(0)
        return "done"

    log: list[str] = []
    agents = Step("a", log, fail), Step("b", log, slow), Step("c", log)
    with pytest.raises(ConnectionError, match="no capacity"):
        async with TraceContext("test"):
            await run(runner((("a", "b"), ("c",)), *agents))
    assert sorted(log) == ["a begins", "a ends", "b begins", "b ends"]
    (trace,) = recorded.traces
    assert (trace["status"], trace["error"], trace["span_count"]) == ("error", "ConnectionError: no capacity", 2)


async def test_a_cancelled_pipeline_leaves_no_agent_behind(recorded: MemoryCollector) -> None:
    async def for_ever() -> str:
        await asyncio.Event().wait()
        return ""

    log: list[str] = []
    made = runner((("a", "b"), ("c",)), Step("a", log, for_ever), Step("b", log, for_ever), Step("c", log))

    async def traced() -> str:
        async with TraceContext("test"):
            return await run(made)

    work = asyncio.create_task(traced())
    await eventually(lambda: len(log) == 2)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert sorted(log[2:]) == ["a ends", "b ends"]
    assert {span["status"] for span in recorded.spans} == {"cancelled"}
    assert [trace["status"] for trace in recorded.traces] == ["cancelled"]


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ((("a", "x"), ("a",)), "needs agents that are not there: x"),
        ((("a",), ("a", "b")), "must end with a stage of one agent"),
        ((), "must end with a stage of one agent"),
    ],
)
def test_a_pipeline_that_cannot_work_is_refused_at_once(stages: tuple[tuple[str, ...], ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        runner(stages, Step("a", []), Step("b", []))


def test_the_bots_own_pipelines_name_agents_that_there_are() -> None:
    assert set(PIPELINES) == {"learn", "train", "support"}
    used = {agent for pipeline in PIPELINES.values() for stage in pipeline.stages for agent in stage}
    assert used == {"memory", "strategist", "trainer"}
    assert any(len(stage) > 1 for pipeline in PIPELINES.values() for stage in pipeline.stages)
