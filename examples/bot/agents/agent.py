"""What an agent is, and what it is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from examples.bot.users import User

Findings: TypeAlias = Mapping[str, str]
"""What the agents of earlier stages found, by their names."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a pipeline is about: what the answer should be, and who wrote what."""

    goal: str
    text: str
    user: User


class Progress(Protocol):
    """Where an agent may show what it has so far."""

    def show(self, text: str) -> None: ...


class Agent(Protocol):
    """Does its part of a task and says what it found. It may raise anything: then the pipeline has failed."""

    async def run(self, task: Task, findings: Findings, progress: Progress) -> str: ...
