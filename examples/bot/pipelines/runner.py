"""`PipelineRunner`: runs the agents of a pipeline, stage by stage."""

import asyncio
from collections.abc import Mapping

from examples.bot.agents.agent import Agent, Progress, Task
from examples.bot.pipelines.configuration import Pipeline
from examples.bot.users import User


class PipelineRunner:
    """Raises `ValueError` at construction if a pipeline names an agent that is not there, or ends with several."""

    def __init__(self, pipelines: Mapping[str, Pipeline], agents: Mapping[str, Agent]) -> None:
        for name, pipeline in pipelines.items():
            if missing := {agent for stage in pipeline.stages for agent in stage} - set(agents):
                raise ValueError(f"pipeline {name} needs agents that are not there: {', '.join(sorted(missing))}")
            if not pipeline.stages or len(pipeline.stages[-1]) != 1:
                raise ValueError(f"pipeline {name} must end with a stage of one agent, whose answer it gives")
        self._pipelines = pipelines
        self._agents = agents

    async def run(self, name: str, text: str, user: User, progress: Progress) -> str:
        """The answer of the pipeline `name` to what this person wrote. What an agent raises comes through."""
        pipeline = self._pipelines[name]
        task = Task(pipeline.goal, text, user)
        findings: dict[str, str] = {}
        for stage in pipeline.stages:
            progress.show(f"The {' and the '.join(stage)} at work …")
            findings = findings | await self._at_once(stage, task, findings, progress)
        return findings[pipeline.stages[-1][0]]

    async def _at_once(
        self, stage: tuple[str, ...], task: Task, findings: Mapping[str, str], progress: Progress
    ) -> dict[str, str]:
        """What the agents of a stage found. If one fails, this raises when all have ended: none is left over."""
        work = [self._agents[agent].run(task, findings, progress) for agent in stage]
        outcomes = await asyncio.gather(*work, return_exceptions=True)
        found: dict[str, str] = {}
        for agent, outcome in zip(stage, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            found[agent] = outcome
        return found
