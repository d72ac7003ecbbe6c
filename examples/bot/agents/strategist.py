"""The strategist: asks a model what an answer must contain."""

from examples.bot.agents.agent import Findings, Progress, Task
from examples.bot.llm.router import Router
from tracequeue import traced_span

SYSTEM = "Somebody else writes the answer. Note what it must contain: at most five short points, and nothing else."


class Strategist:
    """Its points are for the trainer; nobody else reads them."""

    def __init__(self, models: Router) -> None:
        self._models = models

    @traced_span("agent:strategist", kind="agent")
    async def run(self, task: Task, findings: Findings, progress: Progress) -> str:
        known = f"They asked before:\n{findings['memory']}\n\n" if "memory" in findings else ""
        return await self._models.complete(f"{task.goal}\n\n{known}Text: {task.text}", system=SYSTEM)
