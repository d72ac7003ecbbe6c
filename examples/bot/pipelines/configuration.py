"""Which agents work in which pipeline, and in which order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages run one after another, the agents within a stage at once. The last stage's agent has the answer."""

    goal: str
    stages: tuple[tuple[str, ...], ...]


PIPELINES: Final[Mapping[str, Pipeline]] = {
    "learn": Pipeline(
        "Explain a topic to a beginner: what it is, why it matters, how to start. Plain text, at most 200 words.",
        (("memory", "strategist"), ("trainer",)),
    ),
    "train": Pipeline(
        "Set three short exercises about a topic, each harder than the one before. Plain text, no solutions.",
        (("memory",), ("strategist",), ("trainer",)),
    ),
    "support": Pipeline(
        "Answer a question helpfully and honestly; say so if you do not know. Plain text, at most 150 words.",
        (("memory", "strategist"), ("trainer",)),
    ),
}
