"""The agents: each does one thing for a pipeline."""

from examples.bot.agents.agent import Agent, Progress, Task
from examples.bot.agents.memory import Memory
from examples.bot.agents.strategist import Strategist
from examples.bot.agents.trainer import Trainer

__all__ = ["Agent", "Memory", "Progress", "Strategist", "Task", "Trainer"]
