"""The trainer: writes the answer, and shows it while it grows."""

from examples.bot.agents.agent import Findings, Progress, Task
from examples.bot.llm.router import Router
from tracequeue import traced_span


class NothingWritten(Exception):
    """The model ended without a word, and an empty message cannot be sent."""


class Trainer:
    """Knows what the other agents found."""

    def __init__(self, models: Router) -> None:
        self._models = models

    @traced_span("agent:trainer", kind="agent")
    async def run(self, task: Task, findings: Findings, progress: Progress) -> str:
        answer = ""
        async for piece in self._models.stream(_prompt(task, findings), system=task.goal):
            answer += piece
            progress.show(answer)
        if not answer.strip():
            raise NothingWritten("the model wrote nothing: ask again, or try another model")
        return answer


def _prompt(task: Task, findings: Findings) -> str:
    return (
        f"{task.user.name} asked before:\n{findings['memory']}\n\n"
        f"Points to cover:\n{findings['strategist']}\n\n"
        f"Text: {task.text}"
    )
