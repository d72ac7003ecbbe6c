"""The memory: recalls what a person asked before, and keeps what they ask now."""

from examples.bot.agents.agent import Findings, Progress, Task
from examples.bot.notes import Notes
from tracequeue import traced_span

RECALLED = 5


class Memory:
    """One person's notes never reach another's answer."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    @traced_span("agent:memory", kind="agent")
    async def run(self, task: Task, findings: Findings, progress: Progress) -> str:
        notes = await self._notes.recall(task.user.telegram_id, RECALLED)
        if task.text not in notes[-1:]:
            await self._notes.keep(task.user.telegram_id, task.text)
        return "\n".join(f"- {note}" for note in notes) or "nothing yet"
